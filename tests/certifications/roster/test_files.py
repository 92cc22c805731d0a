"""What a file with a roster may look like."""

from __future__ import annotations

import csv
import json
import os
from datetime import date, datetime
from io import StringIO
from pathlib import Path

import openpyxl
import pytest
from django.core.management import call_command

from certifications.models import Certification, CertificationType
from certifications.roster import import_roster
from certifications.roster_errors import RosterFileError
from certifications.roster_reader import COLUMNS
from mentors.models import Mentor, Organisation
from tests.conftest import NOW
from tests.support.processes import PROJECT
from tests.support.roster import HEADER, LIV, Import, count_events, line, verdicts

DATA = PROJECT / "../shared/data"
needs_samples = pytest.mark.skipif(not DATA.exists(), reason="the shared sample rosters are not here")


@pytest.fixture
def types(hlf: Organisation, course: CertificationType, secrecy: CertificationType, sign_language: object) -> None:
    """All types of the sample rosters."""
    for code in ("horselsteknikk", "forstehjelp"):
        CertificationType.objects.create(organisation=hlf, code=code, name=code)


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
    assert document["lines"][0] == {"line": 2, "verdict": "unchanged", "column": "", "message": "", "code": ""}
    assert count_events() == events
