"""Whoever wants to can see every message before it is sent: in files, in the desk, in the documentation."""

from __future__ import annotations

import html
import re
import struct
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse

from mentors.models import User
from notifications.messages.previews import previews
from notifications.messages.render import render_message
from notifications.messages.samples import sample_messages
from notifications.models import Notification
from notifications.rendered_message import as_html
from tests.conftest import TODAY, Desk
from tests.support.messages import LANGUAGES, MESSAGES

Kind = Notification.Kind
ROOT = Path(__file__).parents[3]
SLUGS = sorted({slug for slug, _language in MESSAGES})
PREVIEWS = "admin:notifications_notification_previews"


def test_every_kind_has_a_sample_and_every_sample_its_own_name() -> None:
    slugs = [slug for slug, _message in sample_messages("nb", TODAY)]

    assert {message.notification.kind for message in MESSAGES.values()} == set(Kind)
    assert len(slugs) == len(set(slugs))


def test_every_sample_has_a_picture_and_its_line_in_the_documentation_and_nothing_else_has() -> None:
    pictures = sorted((ROOT / "docs" / "messages").iterdir())
    shown = re.findall(r"!\[[^\]]+\]\(messages/([\w-]+)\.png\)", (ROOT / "docs" / "messages.md").read_text())

    assert [picture.name for picture in pictures] == sorted(f"{slug}.png" for slug in SLUGS)
    assert sorted(shown) == SLUGS
    for picture in pictures:
        head = picture.read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:24])
        assert head.startswith(b"\x89PNG")
        assert (width > 900, height > 300, picture.stat().st_size < 160_000) == (True, True, True), picture.name


def test_previews_are_read_on_the_same_day_always() -> None:
    first, second = (previews(languages=["nb"], kind="remind") for _time in range(2))

    assert first == second
    assert [preview.slug for preview in first] == ["reminder-of-a-mentor"]
    assert "28. november 2026" in first[0].text


def test_the_command_writes_every_message_in_every_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "messages"

    call_command("preview_messages", "--folder", str(folder))

    wanted = {f"{slug}.{language}.{form}" for slug, language in MESSAGES for form in ("txt", "html")}
    assert {path.name for path in folder.iterdir()} == wanted | {"index.html"}
    assert f"{len(MESSAGES)} messages" in capsys.readouterr().out
    linked = re.findall(r'href="([^"]+)"', (folder / "index.html").read_text())
    assert set(linked) == wanted


def test_the_command_writes_only_what_is_asked_for(tmp_path: Path) -> None:
    call_command("preview_messages", "--folder", str(tmp_path), "--language", "nn", "--kind", "held")

    assert {path.name for path in tmp_path.iterdir()} == {"run-is-held.nn.txt", "run-is-held.nn.html", "index.html"}
    assert "Ei nattkøyring ventar på deg" in (tmp_path / "run-is-held.nn.txt").read_text()


def test_the_command_says_that_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match=r"cannot be written to: .* Choose another folder"):
        call_command("preview_messages", "--folder", str(tmp_path / "file"))


@pytest.mark.django_db
def test_the_desk_shows_the_messages_in_a_sandbox_and_its_list_leads_there(desk: Desk) -> None:
    client = desk(User.objects.create_superuser("root"))

    listed = client.get(reverse("admin:notifications_notification_changelist")).content.decode()
    page = client.get(reverse(PREVIEWS), {"language": "nn", "kind": "night"}).content.decode()

    assert f'href="{reverse(PREVIEWS)}"' in listed
    frames = re.findall(r'<iframe sandbox="" title="[^"]+" srcdoc="([^"]+)"', page)
    of_the_kind = [message for message in MESSAGES.values() if message.notification.kind == "night"]
    assert len(frames) == len(of_the_kind) / len(LANGUAGES)
    assert html.unescape(frames[0]) == as_html(render_message(MESSAGES["one-reminder", "nn"]))


@pytest.mark.django_db
@pytest.mark.parametrize(("query", "count"), [({}, len(SLUGS)), ({"language": "xx"}, len(SLUGS)), ({"kind": "xx"}, 0)])
def test_the_desk_shows_all_where_nothing_is_chosen(desk: Desk, query: dict[str, str], count: int) -> None:
    client = desk(User.objects.create_superuser("root"))

    answer = client.get(reverse(PREVIEWS), query)

    assert (answer.status_code, answer.content.decode().count("<iframe")) == (200, count)


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "status"), [("auditor", 403), ("kari", 200)])
def test_the_desk_shows_the_messages_to_whom_may_see_messages(
    request: pytest.FixtureRequest, desk: Desk, who: str, status: int
) -> None:
    client = desk(request.getfixturevalue(who))

    assert client.get(reverse(PREVIEWS)).status_code == status
