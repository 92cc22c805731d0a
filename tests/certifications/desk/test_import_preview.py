"""A roster at the desk: its preview says what `import_roster` says, or why the file is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import openpyxl
import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.test import Client

from certifications import roster_uploads
from certifications.models import RosterUpload
from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from mentors.status import change_status
from tests.conftest import NOW, Certify, Enrol
from tests.support.broken_rosters import billion_laughs, deep_cells, far_row
from tests.support.roster import HEADER, LIV
from tests.support.roster_desk import OLA, WRONG, Upload, say_yes

pytestmark = pytest.mark.django_db
MESSY = [LIV, *WRONG, OLA, LIV.replace("2027-01-01", "2027-06-01")]


def xlsx(*lines: str) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in (HEADER, *lines):
        sheet.append(line.split(","))
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def shown(page: Any) -> list[tuple[int, str, str]]:
    return [(line.line, line.verdict, line.column) for line, _word, _cells, _message in page.context["lines"]]


def the_complaint(page: Any) -> str:
    [complaint] = page.context["form"].errors["import_file"]
    return str(complaint)


# The preview


def as_the_command_says(hlf: Organisation, content: bytes, folder: Path, **options: bool) -> list[tuple[int, str, str]]:
    """What `import_roster --dry-run --format json` says of the file."""
    file = folder / "roster"
    file.write_bytes(content)
    out = StringIO()
    with suppress(CommandError):
        call_command("import_roster", file, organisation=hlf.slug, dry_run=True, format="json", stdout=out, **options)
    return [(line["line"], line["verdict"], line["column"]) for line in json.loads(out.getvalue())["lines"]]


@pytest.mark.parametrize("create_chapters", [False, True])
@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("comma.csv", lambda text: text.encode()),
        ("semicolon.csv", lambda text: text.replace(",", ";").encode()),
        ("bom.csv", lambda text: text.encode("utf-8-sig")),
        ("excel.csv", lambda text: text.encode("cp1252")),
        ("roster.xlsx", lambda text: xlsx(*re.sub("[\x00\x1b]", "", text).splitlines()[1:])),
    ],
)
def test_the_preview_says_of_every_line_what_the_command_says(
    upload: Upload,
    hlf: Organisation,
    tmp_path: Path,
    name: str,
    encode: Callable[[str], bytes],
    create_chapters: bool,
) -> None:
    content = encode("\n".join([HEADER, *MESSY]))
    options = {"create_chapters": "on"} if create_chapters else {}

    page = upload(raw=content, name=name, **options)

    expected = as_the_command_says(hlf, content, tmp_path, create_chapters=create_chapters)
    assert {verdict for _line, verdict, _column in expected} == {"created", "unchanged", "error"}
    assert shown(page) == expected


def test_the_preview_counts_shows_who_and_why_and_writes_nothing(upload: Upload, olav: User) -> None:
    page = upload(*MESSY)

    text = page.content.decode()
    assert [(str(word), count) for _verdict, word, count in page.context["verdicts"]] == [
        ("New", 2), ("Changed", 0), ("Unchanged", 1), ("Wrong", 16),
    ]  # fmt: skip
    assert "Ola Bø" in text
    assert "tick “Create the chapters that it names”" in text
    assert not Mentor.objects.exists()
    assert RosterUpload.objects.get().user == olav


def test_the_preview_tells_changed_lines_from_unchanged_ones(upload: Upload, browser: Client) -> None:
    upload(LIV, OLA)
    say_yes(browser)

    page = upload(LIV.replace("2027-01-01", "2027-06-01"), OLA)

    assert shown(page) == [(2, "updated", ""), (3, "unchanged", "")]


def test_the_preview_says_who_would_be_resumed(upload: Upload, enrol: Enrol, certify: Certify) -> None:
    mentor = enrol(ref="M1", name="Liv Moe")
    certify(mentor, issued_on=NOW.date() - timedelta(days=400), expires_on=NOW.date() - timedelta(days=30))
    change_status(
        {mentor.pk: verbatim("Lapsed")},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=NOW,
    )

    page = upload(LIV.replace("2027-01-01", ""))

    mentor.refresh_from_db()
    assert "1 mentor who is paused has renewed" in page.content.decode()
    assert mentor.status == "paused"


def test_every_line_is_explained_in_the_language_of_the_reader(upload: Upload, browser: Client) -> None:
    def explained(language: str) -> list[str]:
        browser.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        return [message for _line, _word, _cells, message in upload(*MESSY).context["lines"] if message]

    english, bokmaal, nynorsk = map(explained, ("en", "nb", "nn"))

    assert len(english) == len(WRONG) + 1
    assert "invalid phone number: write it as +4712345678" in english
    assert "corrected by line 20" in english
    assert "må fylles ut" in bokmaal
    assert "må fyllast ut" in nynorsk
    assert not set(english) & {*bokmaal, *nynorsk}


# The file


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "The submitted file is empty."),
        (b"   \n", "roster.csv is empty."),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "has no header, or is neither CSV nor XLSX"),
        (b"PK\x03\x04" + bytes(300), "is a broken XLSX file"),
        (HEADER.encode("utf-16"), "is UTF-16 text"),
        (b"chapter,name\nOslo,Liv", "lacks columns in its header: mentor_ref"),
        (HEADER.encode(), "has no lines below its header"),
        (f"{HEADER}\n{LIV}".replace("Moe", "Moé").encode("mac_roman"), "its encoding is not safe to guess"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_in_the_form_and_not_kept(
    upload: Upload, raw: bytes, complaint: str
) -> None:
    page = upload(raw=raw)

    assert page.status_code == 422
    assert complaint in the_complaint(page)
    assert gettempdir() not in page.content.decode()
    assert not RosterUpload.objects.exists()


def test_a_form_without_a_file_says_so(upload: Upload) -> None:
    assert upload(import_file="").status_code == 422


def test_a_file_that_is_too_large_for_a_request_is_for_the_command(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = upload(raw=b"x" * (roster_uploads.MAX_BYTES + 1))
    monkeypatch.setattr(roster_uploads, "LIMITS", replace(roster_uploads.LIMITS, lines=1))
    just_short_enough = upload(LIV)
    long = upload(LIV, OLA)

    assert the_complaint(large) == (
        "The file is larger than 5 MB: ask operations to import it with the command import_roster."
    )
    assert just_short_enough.status_code == 200
    assert the_complaint(long) == (
        "roster.csv has more than 1 lines: ask operations to import it with the command import_roster."
    )


def test_an_archive_that_would_fill_the_memory_is_refused(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_uploads, "LIMITS", replace(roster_uploads.LIMITS, unpacked=1000))

    page = upload(raw=xlsx(LIV), name="bomb.xlsx")

    assert "bomb.xlsx is too large when it is unpacked" in the_complaint(page)


@pytest.mark.parametrize("make", [billion_laughs, lambda: far_row(6_000_000), lambda: deep_cells(1_000_000)])
def test_a_file_made_to_hold_a_worker_is_refused_in_the_form(
    upload: Upload, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    monkeypatch.setattr(roster_uploads, "LIMITS", replace(roster_uploads.LIMITS, cpu_seconds=1))

    page = upload(raw=make(), name="bomb.xlsx")

    assert page.status_code == 422
    assert "bomb.xlsx" in the_complaint(page)
    assert not RosterUpload.objects.exists()


def test_a_file_that_was_let_in_before_and_costs_too_much_now_is_not_imported(
    upload: Upload, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(LIV)
    RosterUpload.objects.update(content=deep_cells(1_000_000))
    monkeypatch.setattr(roster_uploads, "LIMITS", replace(roster_uploads.LIMITS, cpu_seconds=1))

    answer = say_yes(browser)

    assert answer.status_code == 302
    assert "takes too much time or memory" in " ".join(map(str, get_messages(answer.wsgi_request)))
    assert not Mentor.objects.exists()


def test_nothing_of_a_roster_is_left_in_a_folder(
    upload: Upload, browser: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    upload(LIV)
    say_yes(browser)
    upload(raw=b"chapter,name")

    assert list(tmp_path.iterdir()) == []
