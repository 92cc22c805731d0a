"""What we write, no spreadsheet calculates, at whatever separator it splits; and it comes back to the byte."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certifications.roster_file import open_roster
from certifications.roster_reader import COLUMNS
from certifications.roster_uploads import LIMITS
from mentors.desk.exporting import FORMATS
from mentors.spreadsheets import escape_xlsx, guard, unescape_xlsx, unguard

SIGNS = "=+-@＝＋－＠−﹣﹦﹢﹫"
UNSEEN = "\u00a0\u200b\u200d\ufeff\u2060\u00ad\u202e\u3000\u2800\u3164\x00\x1b "
BREAKS = ";,|\t\n\r\v\f\x85\u2028\u2029"
HOSTILE = st.text(
    st.sampled_from([*SIGNS, *UNSEEN, *BREAKS, '"', "'", "a", "1", "_", "x", "0", "D", "Å"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=30,
)


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet may calculate the cell: a sign is first of what it sees."""
    seen = (char for char in cell if char not in UNSEEN and unicodedata.category(char) not in ("Cc", "Cf", "Zs"))
    return next(seen, "") in tuple(SIGNS)


def split_everywhere(text: str) -> Iterator[str]:
    """The cells that a spreadsheet may make of a file, by each separator, and with and without a sense of quotation."""
    for separator in ",;|\t":
        yield from (cell for row in csv.reader(text.splitlines(keepends=True), delimiter=separator) for cell in row)
        yield from (cell for row in csv.reader(text.splitlines(), delimiter=separator) for cell in row)
        yield from (cell.strip('"') for cell in re.split(f"[{separator}\n\r\v\f\x85\u2028\u2029]", text))


def write(kind: str, rows: Sequence[Sequence[str]]) -> bytes:
    _ending, _type, write_rows = FORMATS[kind]
    return write_rows(rows)


@given(HOSTILE)
@example("'=1")
@example("''@x")
@example(";'=1")
@example('";"=1')
@example("\ufeff'=")
@example("a\r\n\r\n=")
def test_a_guarded_text_is_no_formula_and_comes_back_to_the_byte(text: str) -> None:
    guarded = guard(text)

    assert unguard(guarded) == text
    assert not any(is_formula(cell) for cell in split_everywhere(guarded))
    assert not re.search(r"(^|[,;|\t\n\r])[=+\-@＝＋－＠]", guarded)


@pytest.mark.parametrize("text", ["Liv Moe", "O'Neill", "Moe-Lie, Liv", "liv+x@example.org", "a=b; c", "2026-11-21"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert guard(text) == text


@given(st.lists(HOSTILE, min_size=3, max_size=3))
@example([";\"=cmd|' /C calc'!A0", "x;=1+1", "\u00a0＝1"])
@example(["=1", "a\n-1", '"@SUM(A1)"'])
@settings(deadline=None)
def test_no_cell_of_a_csv_is_a_formula_however_it_is_split(cells: list[str]) -> None:
    text = write("0", [cells, cells]).decode("utf-8-sig")

    assert not [cell for cell in split_everywhere(text) if is_formula(cell)]
    assert [[unguard(cell) for cell in row] for row in csv.reader(StringIO(text, newline=""))] == [cells, cells]


@given(HOSTILE)
@example("_x003D_1+1")
@example("_x005F_x003D_")
def test_no_cell_of_an_xlsx_is_a_formula_nor_becomes_one_by_an_escape(text: str) -> None:
    assert unescape_xlsx(escape_xlsx(text)) == text

    sheet = openpyxl.load_workbook(BytesIO(write("1", [[text, "end"]]))).active

    assert sheet is not None
    cell = sheet["A1"]
    assert cell.data_type != "f"
    assert not is_formula(unescape_xlsx(str(cell.value or ""))) or re.fullmatch(r"\+[0-9]+", text)


NAMES = HOSTILE.map(lambda text: re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "", text).strip())


@pytest.mark.parametrize("kind", FORMATS)
@given(names=st.lists(NAMES.filter(bool), min_size=20, max_size=40))
@settings(max_examples=10, deadline=None)
def test_what_is_exported_and_imported_again_has_the_same_names(kind: str, names: list[str]) -> None:
    content = write(kind, [COLUMNS, *([name] * len(COLUMNS) for name in names)])

    with TemporaryDirectory() as folder:
        file = Path(folder, "roster")
        file.write_bytes(content)
        with open_roster(file, limits=replace(LIMITS, lines=1000)) as roster:
            read = [list(cells) for _number, cells in roster.lines]  # type: ignore[arg-type]

    assert read == [[name] * len(COLUMNS) for name in names]
