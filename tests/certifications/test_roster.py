"""Importing a roster: what a line becomes, what a file may look like, and what an import never does."""

from __future__ import annotations

import csv
import json
import os
import pty
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from subprocess import DEVNULL, Popen, run
from typing import Any

import openpyxl
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from certifications.models import Certification, CertificationType
from certifications.roster import ImportReport, import_roster
from certifications.roster_file import COLUMNS, RosterFileError
from certifications.standing import end_mentor
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from mentors.status import change_status
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "../shared/data"
HEADER = ",".join(COLUMNS)
LIV = "Oslo,M1,Liv Moe,liv@example.org,+4712345678,nn,likepersonkurs,C1,2026-01-01,2027-01-01"
EVENTS = ("mentors.MentorEvent", "certifications.CertificationEvent")
MEMORY_BOUND_MB = 30  # over the import of one line; measured: 4

Import = Callable[..., ImportReport]

needs_samples = pytest.mark.skipif(not DATA.exists(), reason="the shared sample rosters are not here")


@pytest.fixture
def roster(hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path) -> Import:
    """Import lines below the header, or bytes as they are: `roster(LIV)`, `roster(raw=b"…", skip_errors=True)`."""

    def roster(*lines: str, raw: bytes | None = None, **options: Any) -> ImportReport:
        file = tmp_path / "roster.csv"
        file.write_bytes("\n".join([HEADER, *lines]).encode() if raw is None else raw)
        return import_roster(file, organisation=hlf, now=NOW, **options)

    return roster


@pytest.fixture
def types(hlf: Organisation, course: CertificationType, secrecy: CertificationType, sign_language: object) -> None:
    """All types of the sample rosters."""
    for code in ("horselsteknikk", "forstehjelp"):
        CertificationType.objects.create(organisation=hlf, code=code, name=code)


def line(**changes: str) -> str:
    """Liv's line with other cells: `line(mentor_ref="M2")`."""
    return ",".join((dict(zip(COLUMNS, LIV.split(","), strict=True)) | changes).values())


def verdicts(report: ImportReport) -> list[str]:
    return [line.verdict for line in report.lines]


def the_error(report: ImportReport) -> tuple[str, str]:
    (error,) = [line for line in report.lines if line.verdict == "error"]
    return error.column, error.message


def count_events() -> list[int]:
    return [apps.get_model(event).objects.count() for event in EVENTS]


def snapshot() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (Chapter, Mentor, Certification)]


# What a line becomes


def test_a_new_line_creates_a_mentor_and_a_certification(roster: Import, hlf: Organisation, oslo: Chapter) -> None:
    report = roster(LIV)

    assert verdicts(report) == ["created"]
    mentor = Mentor.objects.get()
    assert (mentor.organisation, mentor.chapter, mentor.ref, mentor.name) == (hlf, oslo, "M1", "Liv Moe")
    assert (mentor.email, mentor.phone, mentor.language) == ("liv@example.org", "+4712345678", "nn")
    assert (mentor.status, mentor.listed, mentor.updated_at) == ("active", True, NOW)
    certification = Certification.objects.get()
    assert (certification.mentor, certification.type.code, certification.number) == (mentor, "likepersonkurs", "C1")
    assert (certification.issued_on, certification.expires_on) == (date(2026, 1, 1), date(2027, 1, 1))
    assert mentor.lapses_on == date(2027, 1, 2)


@pytest.mark.parametrize(
    ("column", "typed", "kept"),
    [
        ("name", "  Liv Moe ", "Liv Moe"),
        ("name", "A\u030ase Moe", "Åse Moe"),
        ("name", '"=HYPERLINK(""http://evil.example"")"', '=HYPERLINK("http://evil.example")'),
        ("email", "Liv@EXAMPLE.org", "liv@example.org"),
        ("email", "", ""),
        ("phone", "+47 12 34 56 78", "+4712345678"),
        ("phone", "", ""),
        ("language", "NN", "nn"),
        ("language", "", "nb"),
    ],
)
def test_a_cell_is_tidied(roster: Import, column: str, typed: str, kept: str) -> None:
    roster(line(**{column: typed}))

    assert getattr(Mentor.objects.get(), column) == kept


@pytest.mark.parametrize(
    ("typed", "kept"), [("2027-02-01", date(2027, 2, 1)), ("01.02.2027", date(2027, 2, 1)), ("", None)]
)
def test_a_date_is_iso_or_norwegian_and_an_empty_expiry_is_open_ended(
    roster: Import, typed: str, kept: date | None
) -> None:
    roster(line(expires_on=typed))

    assert Certification.objects.get().expires_on == kept


@pytest.mark.parametrize(
    ("column", "typed", "message"),
    [
        ("chapter", "", "required"),
        ("chapter", "Tromsø", "unknown chapter"),
        ("mentor_ref", "", "required"),
        ("mentor_ref", "M" * 51, "longer than 50 characters"),
        ("name", "", "required"),
        ("name", "Liv\x00Moe", "contains a NUL byte"),
        ("name", "Liv\x1b[2JMoe", "contains a control character"),
        ("name", "L" * 201, "longer than 200 characters"),
        ("name", "#REF!", "the spreadsheet had no value"),
        ("email", "not-an-address", "invalid e-mail"),
        ("email", "m" * 250 + "@example.org", "longer than 254 characters"),
        ("phone", "ring meg", "invalid phone number"),
        ("phone", "12345678", "invalid phone number"),
        ("language", "klingon", "unknown language"),
        ("certification", "", "required"),
        ("certification", "ukjent", "unknown certification type: there are likepersonkurs"),
        ("number", "C" * 51, "longer than 50 characters"),
        ("issued_on", "", "required"),
        ("issued_on", "03/04/2025", "ambiguous date format"),
        ("issued_on", "1.2.25", "ambiguous date format"),
        ("issued_on", "45678", "ambiguous date format"),
        ("issued_on", "31.02.2025", "impossible date"),
        ("issued_on", "0000-01-01", "impossible date"),
        ("expires_on", "31.01.99999", "impossible date"),
        ("expires_on", "31.01." + "9" * 5000, "impossible date"),
        ("expires_on", "2025-12-31", "expires before it was issued"),
    ],
)
def test_a_wrong_cell_is_an_error_with_its_column(roster: Import, column: str, typed: str, message: str) -> None:
    report = roster(line(**{column: typed}))

    at, why = the_error(report)
    assert (at, why[: len(message)]) == (column, message)
    assert not Mentor.objects.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LIV.rpartition(",")[0], "has 9 cells, the header has 10"),
        (line(name="Moe, Liv"), "has 11 cells, the header has 10"),
        (line(name='"Liv Moe'), "a quotation mark is not closed on this line, or text follows it"),
    ],
)
def test_a_line_out_of_shape_is_an_error_that_spares_the_lines_after_it(
    roster: Import, text: str, message: str
) -> None:
    report = roster(text, line(mentor_ref="M2"), skip_errors=True)

    assert verdicts(report) == ["error", "created"]
    assert the_error(report) == ("", message)


def test_blank_lines_are_passed_over_and_lines_keep_their_numbers(roster: Import) -> None:
    report = roster("", "  ,,,,,,,,,", LIV)

    assert [(line.line, line.verdict) for line in report.lines] == [(4, "created")]


# The same again


def test_importing_the_same_again_changes_nothing_at_all(roster: Import) -> None:
    roster(LIV, line(number="C2"))
    before, events = snapshot(), count_events()

    report = roster(LIV, line(number="C2"))

    assert verdicts(report) == ["unchanged", "unchanged"]
    assert (snapshot(), count_events()) == (before, events)


def test_a_later_line_with_the_same_certification_corrects_an_earlier_one(roster: Import) -> None:
    lines = [LIV, line(expires_on="2027-06-30")]

    first = roster(*lines)
    events = count_events()
    second = roster(*lines)

    assert list(first.lines) == [(2, "unchanged", "expires_on", "corrected by line 3"), (3, "created", "", "")]
    assert Certification.objects.get().expires_on == date(2027, 6, 30)
    assert verdicts(second) == ["unchanged", "unchanged"]
    assert count_events() == events


@pytest.mark.parametrize(
    ("column", "typed"), [("email", "new@example.org"), ("phone", "+4787654321"), ("language", "en")]
)
def test_the_last_line_of_a_mentor_counts(roster: Import, column: str, typed: str) -> None:
    lines = [LIV, line(number="C2", **{column: typed})]

    first = roster(*lines)
    second = roster(*lines)

    assert getattr(Mentor.objects.get(), column) == typed
    assert list(first.lines) == [(2, "created", column, "corrected by line 3"), (3, "created", "", "")]
    assert verdicts(second) == ["unchanged", "unchanged"]


def test_a_ref_with_another_name_is_an_error_on_the_later_line(roster: Import) -> None:
    report = roster(LIV, line(name="Somebody Else", number="C2"), line(number="C3"), skip_errors=True)

    assert verdicts(report) == ["created", "error", "created"]
    assert the_error(report) == ("name", "mentor_ref already used in this file with another name")


def test_what_has_changed_is_updated(roster: Import, bergen: Chapter) -> None:
    roster(LIV, line(mentor_ref="M2"), line(mentor_ref="M3"))

    report = roster(LIV, line(mentor_ref="M2", chapter="Bergen"), line(mentor_ref="M3", expires_on=""))

    assert verdicts(report) == ["unchanged", "updated", "updated"]
    assert Mentor.objects.get(ref="M2").chapter == bergen
    assert Certification.objects.get(mentor__ref="M3").expires_on is None


def test_an_import_leaves_status_consent_and_revocation_alone(
    roster: Import, enrol: Enrol, certify: Certify, olav: User
) -> None:
    mentor = enrol(ref="M1", listed=False)
    certify(mentor, number="C1", issued=-324, revoked_at=NOW, revoked_reason="Fraud")
    end_mentor(mentor, reason="Moved", actor=olav, now=NOW)

    report = roster(line(issued_on=(TODAY - timedelta(days=324)).isoformat()))

    mentor.refresh_from_db()
    certification = Certification.objects.get()
    assert verdicts(report) == ["updated"]
    assert (mentor.name, mentor.status, mentor.listed) == ("Liv Moe", "ended", False)
    assert (certification.revoked_at, certification.revoked_reason) == (NOW, "Fraud")


def test_another_organisation_with_the_same_refs_is_left_alone(
    roster: Import, hlf: Organisation, tmp_path: Path
) -> None:
    roster(LIV)
    other = Organisation.objects.create(slug="nfb", name="NFB")
    CertificationType.objects.create(organisation=other, code="likepersonkurs", name="Kurs")

    report = import_roster(tmp_path / "roster.csv", organisation=other, now=NOW, create_chapters=True)

    assert verdicts(report) == ["created"]
    assert Mentor.objects.of(hlf).count() == Mentor.objects.of(other).count() == 1


# All or nothing


def test_one_wrong_line_keeps_all_lines_out(roster: Import) -> None:
    report = roster(LIV, line(mentor_ref="M2", email="x"))

    assert (report.imported, report.errors) == (False, 1)
    assert not Mentor.objects.exists()


def test_skipping_errors_imports_the_other_lines(roster: Import) -> None:
    report = roster(LIV, line(mentor_ref="M2", email="x"), skip_errors=True)

    assert (report.imported, report.created, report.errors) == (True, 1, 1)
    assert Mentor.objects.get().ref == "M1"


def test_a_dry_run_reports_the_same_and_writes_nothing(roster: Import) -> None:
    roster(LIV)
    lines = [line(expires_on=""), line(mentor_ref="M2", chapter="Tromsø")]
    before, events = snapshot(), count_events()

    dry = roster(*lines, create_chapters=True, dry_run=True)
    after = snapshot(), count_events()
    real = roster(*lines, create_chapters=True)

    assert after == (before, events)
    assert (dry.imported, real.imported) == (False, True)
    assert list(dry.lines) == list(real.lines)


def test_chapters_are_created_on_request_with_slugs_of_their_own(roster: Import) -> None:
    chapters = ["Tromsø", "Sør-Østlandet", "Oslo!", "Ås", "Bærum", "日本"]

    roster(*(line(mentor_ref=f"M{n}", chapter=name) for n, name in enumerate(chapters)), create_chapters=True)

    slugs = dict(Chapter.objects.values_list("name", "slug"))
    assert slugs == {
        "Oslo": "oslo",
        "Oslo!": "oslo-2",
        "Tromsø": "tromso",
        "Sør-Østlandet": "sor-ostlandet",
        "Ås": "as",
        "Bærum": "baerum",
        "日本": "chapter",
    }


# Rule 5


@pytest.fixture
def expired(enrol: Enrol, certify: Certify, kari: User) -> Mentor:
    """M1, paused by the night."""
    mentor = enrol(ref="M1", name="Liv Moe")
    certify(mentor, expires_in=-10)
    change_status(
        {mentor.pk: "Lapsed: likepersonkurs"},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=NOW - timedelta(days=9),
    )
    return mentor


def test_a_renewal_in_the_file_resumes_the_mentor_at_once_and_tells_the_coordinator(
    roster: Import, expired: Mentor, kari: User
) -> None:
    report = roster(LIV)
    again = roster(LIV)

    expired.refresh_from_db()
    assert (expired.status, report.resumed, again.resumed) == ("active", 1, 0)
    change = StatusChange.objects.get(to_status="active")
    assert (change.mentor, change.cause, change.at) == (expired, "certification_expired", NOW)
    assert Notification.objects.inbox_of(kari).get().about == expired


@pytest.mark.parametrize(
    ("changes", "options"),
    [({"expires_on": "2026-11-20"}, {}), ({}, {"dry_run": True}), ({"certification": "tegnsprak"}, {})],
)
def test_a_mentor_who_has_not_renewed_stays_paused(
    roster: Import, sign_language: object, expired: Mentor, changes: dict[str, str], options: dict[str, bool]
) -> None:
    roster(line(**changes), **options)

    expired.refresh_from_db()
    assert expired.status == "paused"
    assert not Notification.objects.exists()


# What a file may look like


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_csv_is_read_as_excel_and_others_write_it(
    roster: Import, encoding: str, delimiter: str, line_end: str
) -> None:
    text = line_end.join([HEADER, line(name="Åse Bø")]).replace(",", delimiter) + line_end

    roster(raw=text.encode(encoding))

    assert Mentor.objects.get().name == "Åse Bø"


def test_columns_are_found_by_name_and_others_are_not_used(roster: Import) -> None:
    text = "Remarks," + HEADER.replace("chapter", " Chapter ") + "\nnice," + LIV

    report = roster(raw=text.encode())

    assert (verdicts(report), report.ignored_columns) == (["created"], ("remarks",))


def test_an_xlsx_is_read_with_its_dates_and_numbers(roster: Import, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active
    book.active.append(list(COLUMNS))
    cells = ["Oslo", 17, "Liv Moe", None, None, None, "likepersonkurs", 4.0]
    book.active.append([*cells, date(2026, 1, 1), datetime(2027, 1, 1)])  # noqa: DTZ001 - Excel knows no zones
    book.active.append([])
    book.active.append([*cells, "01.01.2025", None])
    book.active.append([*cells, datetime(2026, 1, 1, 12), None])  # noqa: DTZ001
    book.active.append([*cells, "=1+1"])
    book.save(tmp_path / "roster.xlsx")

    report = roster(raw=(tmp_path / "roster.xlsx").read_bytes(), skip_errors=True)

    assert [(line.line, line.verdict, line.column) for line in report.lines] == [
        (2, "created", ""),
        (4, "created", ""),
        (5, "error", "issued_on"),
        (6, "error", "issued_on"),
    ]
    assert Mentor.objects.get().ref == "17"
    held = Certification.objects.order_by("issued_on").values_list("number", "issued_on", "expires_on")
    assert list(held) == [("4", date(2025, 1, 1), None), ("4", date(2026, 1, 1), date(2027, 1, 1))]


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is empty"),
        (b" \r\n\n", "is empty"),
        (PNG, "is neither CSV nor XLSX"),
        (bytes(range(254, 0, -1)) * 9, "is neither CSV nor XLSX"),
        (LIV.encode(), "has no header"),
        (HEADER.replace("email,", "").replace("phone,", "").encode(), "lacks columns in its header: email, phone"),
        ((HEADER + ",name").encode(), "names the column name twice"),
        (HEADER.encode("utf-16"), "is UTF-16"),
        (f"{HEADER}\n{LIV}\n{line(name='Bø')}".encode("mac-roman"), "is not UTF-8 (line 3)"),
        (f"{HEADER}\n{LIV}\n{line(name='Лив')}".encode("cp1251"), "is not UTF-8 (line 3)"),
        (HEADER.encode() + b"\n" + b"x" * 70_000, "line 2 is longer than"),
        (b"PK\x03\x04 and then nothing", "is a broken XLSX file"),
    ],
)
def test_a_file_that_is_no_roster_is_refused_with_the_reason(roster: Import, raw: bytes, message: str) -> None:
    with pytest.raises(RosterFileError) as refused:
        roster(raw=raw)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_xlsx_cut_off_in_the_middle_is_refused(roster: Import, tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in [COLUMNS, *[LIV.split(",")] * 500]:
        sheet.append(row)
    book.save(tmp_path / "whole.xlsx")
    whole = (tmp_path / "whole.xlsx").read_bytes()
    damaged = bytearray(whole)
    middle = whole.index(b"sheet1.xml") + 200
    damaged[middle : middle + 50] = bytes(50)

    for raw in (whole[: len(whole) // 2], bytes(damaged)):
        with pytest.raises(RosterFileError, match="broken XLSX"):
            roster(raw=raw)

    assert not Mentor.objects.exists()


def test_a_missing_file_a_folder_and_a_pipe_are_refused(hlf: Organisation, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for name, message in (("nothing.csv", "There is no file"), ("", "is a folder"), ("pipe", "not a regular file")):
        with pytest.raises(RosterFileError, match=message):
            import_roster(tmp_path / name, organisation=hlf, now=NOW)


# The sample rosters


@needs_samples
def test_every_line_of_the_messy_roster_gets_the_expected_verdict(hlf: Organisation, types: None) -> None:
    with (DATA / "roster_messy.expected.csv").open(newline="") as file:
        expected = [(int(row["line"]), row["verdict"], row["column"]) for row in csv.DictReader(file)]

    report = import_roster(DATA / "roster_messy.csv", organisation=hlf, now=NOW, create_chapters=True, skip_errors=True)

    assert expected == [
        (line.line, "error", line.column) if line.verdict == "error" else (line.line, "ok", "") for line in report.lines
    ]
    assert Mentor.objects.filter(name__startswith="=HYPERLINK").exists()


@needs_samples
def test_the_sample_roster_is_imported_once(hlf: Organisation, types: None) -> None:
    command = ("import_roster", str(DATA / "roster.csv"), "--organisation", "hlf", "--create-chapters")
    first, second = StringIO(), StringIO()

    call_command(*command, "--format", "json", stdout=first)
    events = count_events()
    call_command(*command, "--format", "json", stdout=second)

    assert Mentor.objects.count() == 849
    document = json.loads(first.getvalue())
    assert document["created"] == Certification.objects.count() == 1430
    assert (document["unchanged"], document["updated"], document["errors"]) == (18, 0, 0)
    document = json.loads(second.getvalue())
    assert list(document) == ["created", "updated", "unchanged", "errors", "lines"]
    assert (document["created"], document["updated"], document["unchanged"]) == (0, 0, 1448)
    assert document["lines"][0] == {"line": 2, "verdict": "unchanged", "column": "", "message": ""}
    assert count_events() == events


# The command


def test_the_command_names_wrong_lines_and_counts_then_fails_with_one_line(roster: Import, tmp_path: Path) -> None:
    roster(LIV, line(mentor_ref="M2", email="x"))
    out = StringIO()

    with pytest.raises(CommandError, match="Nothing was imported: 1 of 2 lines have errors") as failed:
        call_command("import_roster", str(tmp_path / "roster.csv"), "--organisation", "hlf", stdout=out)

    assert failed.value.returncode == 1
    assert out.getvalue().splitlines() == [
        "line 3: error: email: invalid e-mail",
        "Nothing was written. An import would give: 1 created, 0 updated, 0 unchanged, 1 with errors.",
    ]


def test_the_command_skips_errors_on_request_and_shows_every_line_with_v_2(roster: Import, tmp_path: Path) -> None:
    roster(LIV, line(mentor_ref="M2", email="x"))
    out = StringIO()

    call_command(
        "import_roster", str(tmp_path / "roster.csv"), "--organisation", "hlf", "--skip-errors", "-v", "2", stdout=out
    )

    assert out.getvalue().splitlines() == [
        "line 2: created",
        "line 3: error: email: invalid e-mail",
        "Imported: 1 created, 0 updated, 0 unchanged, 1 with errors.",
    ]


def test_the_command_names_the_organisations_there_are(roster: Import) -> None:
    with pytest.raises(CommandError, match=r"There is no organisation “hl”. There are: hlf."):
        call_command("import_roster", "roster.csv", "--organisation", "hl")


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_wait_for_each_other_and_double_nothing(
    hlf: Organisation, course: CertificationType, tmp_path: Path
) -> None:
    lines = [
        line(mentor_ref=f"M{n}", chapter=f"Chapter {n % 7}", expires_on=f"2027-01-{n % 28 + 1:02}") for n in range(600)
    ]
    files = [tmp_path / "forwards.csv", tmp_path / "backwards.csv"]
    files[0].write_text("\n".join([HEADER, *lines]))
    files[1].write_text("\n".join([HEADER, *reversed(lines)]))
    together = threading.Barrier(4)
    reports = []

    def work(file: Path) -> None:
        try:
            together.wait()
            reports.append(import_roster(file, organisation=hlf, now=NOW, create_chapters=True))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(file,)) for file in files * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(report.created for report in reports) == [0, 0, 0, 600]
    assert (Mentor.objects.count(), Certification.objects.count(), Chapter.objects.count()) == (600, 600, 7)
    assert count_events() == [600, 600]


def environment(**changes: str) -> dict[str, str]:
    """What a command needs to find the database of this test."""
    at = connection.settings_dict
    url = f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    return os.environ | {"DATABASE_URL": url, "TERM": "xterm", "COLUMNS": "80"} | changes


def import_in_a_process(file: Path, output: Path) -> tuple[int, str]:
    """Run the command with a terminal for standard error; return its peak memory in MB and what the terminal got."""
    terminal, its_end = pty.openpty()
    command = [sys.executable, "manage.py", "import_roster", str(file), "--organisation", "hlf", "--format", "json"]
    with output.open("wb") as stdout:
        process = Popen(command, cwd=PROJECT, env=environment(), stdin=DEVNULL, stdout=stdout, stderr=its_end)
    os.close(its_end)
    shown = b""
    with suppress(OSError):  # the terminal's other end was closed
        while seen := os.read(terminal, 65_536):
            shown += seen
    os.close(terminal)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, shown
    return usage.ru_maxrss // 1024, shown.decode()


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_two_hundred_thousand_lines_pass_in_steady_memory_and_show_progress(
    hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path
) -> None:
    one, many = tmp_path / "one.csv", tmp_path / "many.csv"
    one.write_text(f"{HEADER}\n{LIV}\n")
    with many.open("w") as file:
        file.write(HEADER + "\n")
        file.writelines(line(mentor_ref=f"B{n // 2}", number=f"N{n}") + "\n" for n in range(200_000))

    base, _shown = import_in_a_process(one, tmp_path / "one.json")
    peak, shown = import_in_a_process(many, tmp_path / "many.json")

    assert json.loads((tmp_path / "many.json").read_text())["created"] == 200_000
    assert peak - base < MEMORY_BOUND_MB
    assert "reading" in shown
    assert "writing" in shown
    assert "100 %" in shown


@pytest.mark.processes
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://nobody:secret@127.0.0.1:1/nothing", "No database answers"),
        ("{server}/postgres", "run manage.py migrate"),
    ],
)
def test_a_database_that_is_not_there_or_not_prepared_is_told_in_one_line(url: str, message: str) -> None:
    server = environment()["DATABASE_URL"].rpartition("/")[0]
    command = [sys.executable, "manage.py", "import_roster", "roster.csv", "--organisation", "hlf"]

    ended = run(
        command,
        cwd=PROJECT,
        env=environment(DATABASE_URL=url.format(server=server)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "secret" not in ended.stderr
