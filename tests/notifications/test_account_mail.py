"""What the owner of an account is told of it: always, at once, by e-mail alone, and nobody else."""

from __future__ import annotations

import gettext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mentors.accounts.access import end_all_access, issue_token
from mentors.accounts.security_trail import Kind, record_event
from mentors.models import Chapter, CoordinatorRole, SecurityEvent, User
from notifications.account_mail import TOLD
from notifications.messages.to_owners import FOR_OTHERS, SAYS
from notifications.models import Notification, Preference
from tests.conftest import NOW, Api, Desk
from tests.support.delivery import deliver

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def at_noon(settings: Any, clock: Any) -> None:
    """However slow the machine: what has happened by now is delivered now."""
    clock.move_to(NOW, tick=False)
    settings.PUBLIC_URL = "https://nattevakt.example.org"


def mails() -> list[Notification]:
    return list(Notification.objects.filter(kind="account").order_by("pk"))


@pytest.mark.parametrize("kind", Kind)
def test_of_what_an_owner_is_told(kind: SecurityEvent.Kind, kari: User, rf: Any, mailoutbox: list[Any]) -> None:
    record_event(kind, user=kari, request=rf.get("/admin/"))
    deliver()

    assert [mail.to for mail in mailoutbox] == ([["kari@example.org"]] if kind in TOLD else [])


def test_there_are_words_for_all_that_is_told() -> None:
    assert set(SAYS) == TOLD
    assert FOR_OTHERS < TOLD
    for language in ("nb", "nn"):
        catalogue: Any = gettext.translation("django", Path("notifications/locale"), [language])
        assert [text for text in (str(text) for text in SAYS.values()) if text not in catalogue._catalog] == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ("A new app or program is logged in", "Nov. 21, 2026 at 12:00", "Was it not you?")),
        ("nb", ("En ny app eller et nytt program er logget inn", "21. november 2026 kl. 12:00", "Var det ikke deg?")),
        ("nn", ("Ein ny app eller eit nytt program er logga inn", "21. november 2026 kl. 12:00", "Var det ikkje deg?")),
    ],
)
def test_it_says_what_when_from_where_and_what_to_do(
    kari: User, rf: Any, mailoutbox: list[Any], language: str, said: tuple[str, ...]
) -> None:
    Preference.objects.create(user=kari, language=language)
    request = rf.post("/api/v1/auth/login", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT=FIREFOX)
    record_event(Kind.TOKEN_ISSUED, user=kari, request=request, token="7c61f0a9b2d4e85")

    deliver()

    [mail] = mailoutbox
    text = " ".join(mail.body.split())
    for words in (*said, "kari", "Firefox, Windows", "192.0.2.7", "7c61f0a9b2d4e85…", "HLF"):
        assert words in text
    assert "https://nattevakt.example.org/admin/password/" in text
    assert "https://nattevakt.example.org/admin/access/" in text
    assert mail.from_email.startswith("Nattevakt ")


def test_of_an_hour_of_guessing_from_everywhere_there_is_one_mail(kari: User, rf: Any, mailoutbox: list[Any]) -> None:
    for number in range(5):
        record_event(Kind.LOGIN_LOCKED, user=kari, request=rf.get("/admin/", REMOTE_ADDR=f"192.0.2.{number}"))

    deliver()

    [mail] = mailoutbox
    assert mail.subject == "Noen prøver seg fram med passord på kontoen din"
    assert "Ingen har kommet inn" in mail.body


def test_it_leaves_at_night(kari: User, mailoutbox: list[Any]) -> None:
    record_event(Kind.PASSWORD_CHANGED, user=kari)

    deliver(NOW + timedelta(hours=12))

    assert len(mailoutbox) == 1


@pytest.mark.parametrize("what", ["closed", "no role", "superuser without a role"])
def test_whatever_has_become_of_the_roles_it_leaves(kari: User, mailoutbox: list[Any], what: str) -> None:
    if what == "superuser without a role":
        kari.roles.all().delete()
        User.objects.filter(pk=kari.pk).update(is_superuser=True)
        Notification.objects.all().delete()
    record_event(Kind.SECOND_FACTOR_RESET, user=kari)
    if what == "closed":
        User.objects.filter(pk=kari.pk).update(is_active=False)
    if what == "no role":
        CoordinatorRole.objects.all().delete()

    deliver()

    assert "kari@example.org" in {address for mail in mailoutbox for address in mail.to}
    assert {row.status for row in mails()} == {"sent"}


def test_it_goes_to_the_mailbox_whatever_the_owner_has_chosen(kari: User, mailoutbox: list[Any], settings: Any) -> None:
    settings.CHAT_URL = "json://127.0.0.1:9/"
    Preference.objects.create(user=kari, channel="chat", address="@kari", mail="never")
    record_event(Kind.PASSWORD_CHANGED, user=kari)

    deliver()

    assert [mail.to for mail in mailoutbox] == [["kari@example.org"]]


def test_it_goes_nowhere_else_when_mail_is_down(kari: User, settings: Any) -> None:
    settings.CHAT_URL, settings.EMAIL_HOST, settings.EMAIL_PORT = "json://127.0.0.1:9/", "127.0.0.1", 9
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DELIVERY_MAX_ATTEMPTS = 1
    Preference.objects.create(user=kari, channel="chat", address="@kari")
    record_event(Kind.PASSWORD_CHANGED, user=kari)

    deliver()

    [row] = mails()
    assert (row.status, row.channel, row.given_up) == ("failed", "email", [])


def test_the_old_address_is_told_of_the_new_one(kari: User, mailoutbox: list[Any]) -> None:
    kari.email = "new@example.org"
    kari.save()

    deliver()

    assert sorted(address for mail in mailoutbox for address in mail.to) == ["kari@example.org", "new@example.org"]
    assert "@" not in str(list(SecurityEvent.objects.values()))


def test_a_burst_is_one_mail_a_minute(kari: User, clock: Any, mailoutbox: list[Any]) -> None:
    for _token in range(10):
        issue_token(kari)
    clock.shift(60)
    issue_token(kari)

    deliver(NOW + timedelta(minutes=2))

    assert len(mailoutbox) == 2


def test_it_is_in_nobodys_inbox_and_list(kari: User, olav: User, auditor: User, api: Api, desk: Desk) -> None:
    record_event(Kind.PASSWORD_CHANGED, user=kari)

    for reader in (kari, olav, auditor):
        assert api(reader).get("/api/v1/notifications").json()["results"] == []
    assert list(desk(olav).get("/admin/notifications/notification/").context["cl"].result_list) == []


def test_who_has_no_address_stops_nothing(olav: User) -> None:
    User.objects.filter(pk=olav.pk).update(email="")
    olav.refresh_from_db()

    record_event(Kind.PASSWORD_CHANGED, user=olav)

    assert mails() == []


def test_it_is_written_with_what_it_tells(kari: User) -> None:
    kari.set_password("a long and new password")
    kari.save()

    assert [row.context["what"] for row in mails()] == ["password_changed"]
    end_all_access(kari)
    assert len(mails()) == 1


def test_who_is_given_a_role_at_the_desk_is_told(kari: User, bergen: Chapter, desk: Desk) -> None:
    root = User.objects.create_superuser("root", first_name="Rut", last_name="Root")
    fields = {"user": kari.pk, "organisation": bergen.organisation_id, "duty": "coordinator", "chapter": bergen.pk}

    desk(root).post("/admin/mentors/coordinatorrole/add/", fields)

    [row] = mails()
    assert (row.recipient_user, row.context["what"], row.context["by"]) == (kari, "role_given", "Rut Root")


def test_a_role_that_ends_is_told_with_who_ended_it(kari: User, olav: User, desk: Desk, mailoutbox: list[Any]) -> None:
    desk(olav).post(f"/admin/mentors/coordinatorrole/{kari.roles.get().pk}/delete/", {"post": "yes"})

    deliver()

    [mail] = mailoutbox
    assert mail.subject == "En av rollene dine i HLF er avsluttet"
    assert "Gjort av: olav" in mail.body
