"""A roster at the desk: its preview says what `import_roster` says, and what is imported is what was looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import openpyxl
import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from certifications import roster_uploads
from certifications.admin.rosters_words import in_words
from certifications.models import Certification, CertificationType, RosterUpload
from certifications.roster import import_roster
from certifications.roster_file import COLUMNS
from certifications.roster_uploads import forget_old_uploads, keep_upload
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from mentors.status import change_status
from tests.conftest import NOW, Certify, Enrol

pytestmark = pytest.mark.django_db
HEADER = ",".join(COLUMNS)
LIV = "Oslo,M1,Liv Moe,liv@example.org,+4712345678,nn,likepersonkurs,C1,2026-01-01,2027-01-01"
OLA = "Oslo,M2,Ola Bø,ola@example.org,,nb,likepersonkurs,C2,01.02.2026,01.02.2028"
WRONG = [
    "Atlantis,M3,Per Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,,Per Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per\x1bMoe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per\x00Moe,,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,#REF!,,,,likepersonkurs,C3,2026-01-01,",
    f"Oslo,M3,{'P' * 201},,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,per,,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,12345678,,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,sv,likepersonkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,,trollkurs,C3,2026-01-01,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,1/2/2026,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-02-30,",
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-02-02,2026-02-01",
    "Oslo,M1,Another Name,,,,likepersonkurs,C4,2026-01-01,",
    'Oslo,M3,"Per Moe,,,,likepersonkurs,C3,2026-01-01,',
    "Oslo,M3,Per Moe,,,,likepersonkurs,C3,2026-01-01",
]
MESSY = [LIV, *WRONG, OLA, LIV.replace("2027-01-01", "2027-06-01")]

Upload = Callable[..., Any]  # the answer, which has a context too


def the_file(*lines: str, raw: bytes | None = None, name: str = "roster.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, "\n".join([HEADER, *lines]).encode() if raw is None else raw)


def xlsx(*lines: str) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in (HEADER, *lines):
        sheet.append(line.split(","))
    file = BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.fixture
def desk(client: Client, olav: User, oslo: Chapter, course: CertificationType, settings: Any) -> Client:
    """The desk of the organisation-wide coordinator."""
    settings.SECURE_SSL_REDIRECT = settings.SECOND_FACTOR_REQUIRED = False
    client.force_login(olav)
    client.cookies["django_language"] = "en"
    return client


@pytest.fixture
def upload(desk: Client, hlf: Organisation) -> Upload:
    """Upload lines below the header, or bytes as they are: `upload(LIV, skip_errors="on")`."""

    def upload(*lines: str, raw: bytes | None = None, name: str = "roster.csv", **options: Any) -> Any:
        data = {"organisation": hlf.pk, "import_file": the_file(*lines, raw=raw, name=name)} | options
        return desk.post(reverse("admin:certifications_rosterupload_import"), data)

    return upload


def say_yes(client: Client, **options: str) -> Any:
    """Press the button of the preview that the user has."""
    waiting = RosterUpload.objects.first()
    data = {"import_file_name": str(waiting.pk) if waiting else "", **options}
    return client.post(reverse("admin:certifications_rosterupload_process_import"), data)


def shown(page: Any) -> list[tuple[int, str, str]]:
    return [(row.line, row.import_type, row.column) for row in page.context["result"].rows]


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def the_complaint(page: Any) -> str:
    [complaint] = page.context["form"].errors["import_file"]
    return str(complaint)


# The preview


def as_the_command_says(hlf: Organisation, content: bytes, folder: Path, **options: bool) -> list[tuple[int, str, str]]:
    """What `import_roster --dry-run --format json` says of the file, in the words of the preview."""
    file = folder / "roster"
    file.write_bytes(content)
    out = StringIO()
    with suppress(CommandError):
        call_command("import_roster", file, organisation=hlf.slug, dry_run=True, format="json", stdout=out, **options)
    kinds = {"created": "new", "updated": "update", "unchanged": "skip", "error": "error"}
    return [(line["line"], kinds[line["verdict"]], line["column"]) for line in json.loads(out.getvalue())["lines"]]


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
    assert {kind for _line, kind, _column in expected} == {"new", "skip", "error"}
    assert shown(page) == expected


def test_the_preview_counts_shows_who_and_why_and_writes_nothing(upload: Upload, olav: User) -> None:
    page = upload(*MESSY)

    text = page.content.decode()
    assert [(str(word), count) for _kind, word, count in page.context["verdicts"]] == [
        ("New", 2), ("Changed", 0), ("Unchanged", 1), ("Wrong", 16),
    ]  # fmt: skip
    assert "Ola Bø" in text
    assert "tick “Create the chapters that it names”" in text
    assert not Mentor.objects.exists()
    assert RosterUpload.objects.get().user == olav


def test_the_preview_tells_changed_lines_from_unchanged_ones(upload: Upload, desk: Client) -> None:
    upload(LIV, OLA)
    say_yes(desk)

    page = upload(LIV.replace("2027-01-01", "2027-06-01"), OLA)

    assert shown(page) == [(2, "update", ""), (3, "skip", "")]


def test_the_preview_says_who_would_be_resumed(upload: Upload, enrol: Enrol, certify: Certify) -> None:
    mentor = enrol(ref="M1", name="Liv Moe")
    certify(mentor, issued_on=NOW.date() - timedelta(days=400), expires_on=NOW.date() - timedelta(days=30))
    change_status(
        {mentor.pk: "Lapsed"},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=NOW,
    )

    page = upload(LIV.replace("2027-01-01", ""))

    mentor.refresh_from_db()
    assert "1 mentor who is paused has renewed" in page.content.decode()
    assert mentor.status == "paused"


def test_every_message_of_the_import_is_a_sentence_of_the_desk(
    upload: Upload, hlf: Organisation, tmp_path: Path
) -> None:
    file = tmp_path / "roster.csv"
    file.write_bytes(the_file(*MESSY).read())

    report = import_roster(file, organisation=hlf, now=NOW, dry_run=True)

    messages = {line.message for line in report.lines if line.message}
    assert len(messages) >= 16
    for message in messages:
        with translation.override("nb"):
            assert in_words(message) != message


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
    monkeypatch.setattr(roster_uploads, "MAX_LINES", 1)
    long = upload(LIV, OLA)

    assert the_complaint(large) == (
        "The file is larger than 5 MB: ask operations to import it with the command import_roster."
    )
    assert the_complaint(long) == (
        "roster.csv has more than 1 lines: ask operations to import it with the command import_roster."
    )


def test_an_archive_that_would_fill_the_memory_is_refused(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_uploads, "MAX_UNPACKED", 1000)

    page = upload(raw=xlsx(LIV), name="bomb.xlsx")

    assert "bomb.xlsx is too large when it is unpacked" in the_complaint(page)


def test_nothing_of_a_roster_is_left_in_a_folder(
    upload: Upload, desk: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    upload(LIV)
    say_yes(desk)
    upload(raw=b"chapter,name")

    assert list(tmp_path.iterdir()) == []


# Yes


def test_yes_imports_the_file_once_and_forgets_it(upload: Upload, desk: Client) -> None:
    upload(LIV, OLA)
    waiting = str(RosterUpload.objects.get().pk)

    first = say_yes(desk)
    second = desk.post(reverse("admin:certifications_rosterupload_process_import"), {"import_file_name": waiting})

    assert (first.status_code, first["Location"]) == (302, reverse("admin:mentors_mentor_changelist"))
    assert "2 lines new, 0 changed, 0 unchanged, 0 left out" in said(first)
    assert "The file is not here any more" in said(second)
    assert Certification.objects.count() == 2
    assert not RosterUpload.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_once_one_imports(upload: Upload, desk: Client, olav: User) -> None:
    upload(LIV)
    waiting = str(RosterUpload.objects.get().pk)

    def click(_number: int) -> str:
        client = Client()
        client.force_login(olav)
        try:
            url = reverse("admin:certifications_rosterupload_process_import")
            return client.post(url, {"import_file_name": waiting}).headers["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        places = sorted(pool.map(click, range(4)))

    again = reverse("admin:certifications_rosterupload_import")
    assert places == [*[again] * 3, reverse("admin:mentors_mentor_changelist")]
    assert Certification.objects.count() == 1


def test_a_file_with_a_wrong_line_is_imported_only_without_it(upload: Upload, desk: Client) -> None:
    page = upload(LIV, WRONG[0])
    refused = say_yes(desk)
    nothing = Mentor.objects.exists()
    upload(LIV, WRONG[0])
    done = say_yes(desk, skip_errors="on")

    assert 'disabled aria-describedby="roster-why"' in page.content.decode()
    assert "Nothing was imported: 1 line is wrong." in said(refused)
    assert not nothing
    assert "1 lines new, 0 changed, 0 unchanged, 1 left out" in said(done)
    assert Mentor.objects.get().ref == "M1"


def test_chapters_are_created_if_the_preview_was_asked_to(upload: Upload, desk: Client) -> None:
    page = upload(WRONG[0], create_chapters="on")
    say_yes(desk, create_chapters="on")

    assert '<input type="hidden" name="create_chapters" value="on">' in page.content.decode()
    assert Mentor.objects.get().chapter.name == "Atlantis"


def test_what_changed_since_the_preview_counts(upload: Upload, desk: Client, oslo: Chapter) -> None:
    upload(LIV)
    Chapter.objects.filter(pk=oslo.pk).update(name="Gamle Oslo")

    answer = say_yes(desk)

    assert "Nothing was imported: 1 line is wrong." in said(answer)
    assert not Mentor.objects.exists()


# Who


def test_a_coordinator_of_a_chapter_imports_nothing(client: Client, kari: User, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = settings.SECOND_FACTOR_REQUIRED = False
    client.force_login(kari)
    names = ("rosterupload_import", "rosterupload_changelist")

    pages = [client.get(reverse(f"admin:certifications_{name}")) for name in names]
    yes = say_yes(client)

    assert [page.status_code for page in (*pages, yes)] == [403] * 3


def test_another_organisation_is_no_choice(upload: Upload, elsewhere: Chapter) -> None:
    page = upload(LIV, organisation=elsewhere.organisation_id)

    assert page.status_code == 422
    assert "organisation" in page.context["form"].errors
    assert f">{elsewhere.organisation.name}<" not in page.content.decode()
    assert not RosterUpload.objects.exists()


def test_who_leads_one_organisation_is_not_asked_which(desk: Client, olav: User, elsewhere: Chapter) -> None:
    url = reverse("admin:certifications_rosterupload_import")

    of_one = desk.get(url).context["form"]["organisation"]
    CoordinatorRole.objects.create(user=olav, organisation=elsewhere.organisation)
    of_two = desk.get(url).context["form"]["organisation"]

    assert (of_one.is_hidden, of_two.is_hidden) == (True, False)


def test_a_file_is_nobodys_but_its_users(upload: Upload, desk: Client, hlf: Organisation) -> None:
    upload(LIV)
    grete = User.objects.create_user("grete")
    CoordinatorRole.objects.create(user=grete, organisation=hlf)
    desk.force_login(grete)

    answer = say_yes(desk)

    assert "The file is not here any more" in said(answer)
    assert RosterUpload.objects.exists()
    assert not Mentor.objects.exists()


def test_who_lost_the_role_since_the_preview_imports_nothing(
    upload: Upload, desk: Client, olav: User, elsewhere: Chapter
) -> None:
    upload(LIV)
    olav.roles.update(organisation=elsewhere.organisation)

    answer = say_yes(desk)

    assert "The file is not here any more" in said(answer)
    assert not Mentor.objects.exists()


@pytest.mark.parametrize("name", ["", "nonsense", "../../etc/passwd", "00000000-0000-0000-0000-000000000000"])
def test_a_file_that_is_not_there_is_no_error(desk: Client, name: str) -> None:
    url = reverse("admin:certifications_rosterupload_process_import")

    answer = desk.post(url, {"import_file_name": name, "format": "99", "resource": "x"})

    assert answer.status_code == 302
    assert "The file is not here any more" in said(answer)


def test_an_upload_has_no_page_of_its_own(upload: Upload, desk: Client) -> None:
    upload(LIV)
    waiting = RosterUpload.objects.get().pk

    pages = [
        desk.get(reverse(f"admin:certifications_rosterupload_{name}", args=[waiting]))
        for name in ("change", "delete", "history")
    ]

    assert all(page.status_code in (302, 403, 404) for page in pages)


# How long a file waits


def test_a_new_upload_takes_the_place_of_the_one_that_waited(upload: Upload) -> None:
    upload(LIV)
    upload(OLA, name="second.csv")

    assert RosterUpload.objects.get().name == "second.csv"


def test_a_file_waits_for_a_day(hlf: Organisation, olav: User, kari: User) -> None:
    old = {"organisation": hlf, "content": b"x", "name": "old.csv"}
    keep_upload(user=olav, now=NOW - timedelta(days=1, seconds=1), **old)  # type: ignore[arg-type]
    young = keep_upload(user=kari, now=NOW - timedelta(hours=23), **old)  # type: ignore[arg-type]

    assert forget_old_uploads(now=NOW) == 1
    assert list(RosterUpload.objects.all()) == [young]


# How much it costs


def test_the_pages_take_a_constant_number_of_queries(
    upload: Upload, desk: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        desk.get(reverse("admin:certifications_rosterupload_import"))
    with CaptureQueriesContext(connection) as few:
        upload(LIV)
    with CaptureQueriesContext(connection) as many:
        upload(*(OLA.replace("M2", f"X{number}") for number in range(300)))

    assert len(few) <= 40
    assert len(many) <= len(few) + 3  # a big roster is told to the planner
