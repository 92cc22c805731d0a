"""What reading a roster may cost, whatever its author had in mind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import openpyxl
import psutil
import pytest

from certifications.models import CertificationType
from certifications.roster import import_roster
from certifications.roster_errors import FileCode, LineCode, LineError, RosterFileError
from certifications.roster_file import BY_COMMAND, RawLine, open_roster
from certifications.roster_reader import LAST_ROW
from certifications.roster_uploads import LIMITS
from mentors.models import Chapter, Organisation
from tests.conftest import NOW
from tests.support.broken_rosters import (
    billion_laughs,
    deep_cells,
    external_entity,
    far_row,
    good_xlsx,
    many_cells,
    many_members,
    members_of,
    pack,
    repeated_text,
    with_rows,
)
from tests.support.processes import PROJECT
from tests.support.roster import HEADER, LIV, Import, line, the_error

HARD = PROJECT / "../shared/data/hard"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "roster.xlsx"


PATIENT = replace(LIMITS, cpu_seconds=600, seconds=900)  # what is not about time has enough of it


def read(file: Path, **limits: int) -> list[RawLine]:
    with open_roster(file, limits=replace(PATIENT, **limits)) as roster:
        return list(roster.lines)


def with_string_of(length: int) -> bytes:
    return good_xlsx(line(name="x" * length))


@pytest.mark.parametrize(
    ("make", "code", "sentence"),
    [
        (billion_laughs, FileCode.XML_ENTITIES, "declares XML entities, as no spreadsheet does"),
        (external_entity, FileCode.XML_ENTITIES, "declares XML entities"),
        (lambda: far_row(6_000_000), FileCode.TOO_MANY_ROWS, "has a row after row 1048576, where a sheet ends"),
        (lambda: far_row(10**30), FileCode.TOO_MANY_ROWS, "has a row after row 1048576"),
        (lambda: many_members(1001), FileCode.TOO_LARGE, "too large when it is unpacked"),
        (lambda: with_rows(b" " * LIMITS.unpacked), FileCode.TOO_LARGE, "too large when it is unpacked"),
        (lambda: many_cells(1_500_000), FileCode.TOO_LARGE, "too large when it is unpacked"),
    ],
)
def test_a_file_that_costs_more_than_it_looks_is_refused_with_the_reason(
    file: Path, make: Callable[[], bytes], code: FileCode, sentence: str
) -> None:
    file.write_bytes(make())

    with pytest.raises(RosterFileError) as refused:
        read(file, memory=100_000_000)

    assert refused.value.code is code
    assert sentence in str(refused.value)


@pytest.mark.parametrize("limits", [{"cpu_seconds": 1}, {"seconds": 1}], ids=["cpu", "clock"])
def test_a_file_that_takes_for_ever_is_refused_when_the_time_is_up(file: Path, limits: dict[str, int]) -> None:
    file.write_bytes(deep_cells(1_000_000))  # several seconds, at the best

    with pytest.raises(RosterFileError, match="takes too much time or memory to read") as refused:
        read(file, **limits)

    assert refused.value.code is FileCode.TOO_COSTLY


def test_no_process_is_left_behind(file: Path) -> None:
    before = psutil.Process().children()
    file.write_text("\n".join([HEADER, *[LIV] * 5000]))

    with open_roster(file) as roster:
        next(roster.lines)  # and then whoever reads has had enough
    file.write_bytes(deep_cells(1_000_000))
    with pytest.raises(RosterFileError):
        read(file, cpu_seconds=1)

    assert psutil.Process().children() == before


def test_a_sheet_is_read_up_to_its_last_row(file: Path) -> None:
    file.write_bytes(far_row(LAST_ROW))

    number, cells = read(file)[-1]

    assert not isinstance(cells, LineError)
    assert (number, cells[0]) == (LAST_ROW, "1")


def test_cells_far_to_the_right_are_not_looked_at(file: Path) -> None:
    file.write_bytes(with_rows(b'<row r="3"><c r="ZZZ3"><v>1</v></c></row>'))

    assert len(read(file)) == 1


def test_a_cell_that_is_too_long_is_an_error_at_its_column(roster: Import) -> None:
    of_csv = roster(line(name="x" * 1001))
    of_xlsx = roster(raw=with_string_of(32_000))

    assert the_error(of_csv) == the_error(of_xlsx) == ("name", LineCode.TOO_LONG.label % {"length": 1000})


def test_a_text_that_many_cells_share_is_counted_in_each(file: Path) -> None:
    file.write_bytes(repeated_text(cells=50, length=1000))

    assert len(read(file, characters=60_000)) == 50
    with pytest.raises(RosterFileError, match="too large"):
        read(file, characters=40_000)


def test_the_command_reads_more_lines_than_the_desk(
    hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path
) -> None:
    file = tmp_path / "roster.csv"
    file.write_text("\n".join([HEADER, *(line(mentor_ref=f"M{number}") for number in range(30))]))

    report = import_roster(file, organisation=hlf, now=NOW, dry_run=True)

    assert report.created == 30
    assert BY_COMMAND.lines is None
    with pytest.raises(RosterFileError, match="more than 29 lines"):
        import_roster(file, organisation=hlf, now=NOW, dry_run=True, limits=replace(LIMITS, lines=29))


def test_the_reader_knows_neither_django_nor_the_secrets_of_the_service() -> None:
    """It starts for every file, and reads what strangers wrote."""
    program = "import sys, certifications.roster_reader; sys.exit({'django', 'openpyxl'} & set(sys.modules) != set())"

    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False).returncode == 0


def test_openpyxl_parses_with_defusedxml() -> None:
    """Which it does as soon as that is installed, and unless a variable says otherwise."""
    assert openpyxl.DEFUSEDXML


def test_no_variable_makes_the_reader_expand_entities(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OPENPYXL_DEFUSEDXML", "False")
    file.write_bytes(billion_laughs())

    with pytest.raises(RosterFileError, match="declares XML entities"):
        read(file)


@pytest.mark.parametrize("method", [12, 14], ids=["bzip2", "lzma"])
def test_a_bomb_of_another_compression_meets_the_limit_of_memory(file: Path, method: int) -> None:
    members = members_of(good_xlsx())
    file.write_bytes(pack(members | {"xl/styles.xml": b" " * 29_000_000 + members["xl/styles.xml"]}, method))

    with pytest.raises(RosterFileError):
        read(file, memory=60_000_000)


@pytest.mark.skipif(not HARD.exists(), reason="the shared hard rosters are not here")
def test_every_hard_roster_is_read_or_refused(hlf: Organisation, oslo: Chapter, course: CertificationType) -> None:
    files = sorted(file for file in HARD.iterdir() if file.suffix in (".csv", ".xlsx"))

    cheap = replace(LIMITS, seconds=900)

    refused = {}
    for file in files:
        try:
            import_roster(file, organisation=hlf, now=NOW, dry_run=True, skip_errors=True, limits=cheap)
        except RosterFileError as error:
            refused[file.name] = error.code

    assert files
    assert refused["far_row.xlsx"] is FileCode.TOO_MANY_ROWS
    assert FileCode.TOO_COSTLY not in refused.values()
