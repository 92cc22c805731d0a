"""A roster file as a stream of lines: CSV as Excel and people write it, or XLSX. Nothing here knows the database.

One line of a CSV is one line of the roster: a cell never spans two, so a forgotten quotation mark costs its own line
and cannot swallow those after it.
"""

from __future__ import annotations

import codecs
import csv
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from mentors.spreadsheets import unguard

COLUMNS = (
    "chapter",
    "mentor_ref",
    "name",
    "email",
    "phone",
    "language",
    "certification",
    "number",
    "issued_on",
    "expires_on",
)
LONGEST_LINE = 65_536  # characters
# What a Norwegian Excel writes outside ASCII when it saves a CSV in its own encoding, cp1252. A file that is not UTF-8
# and has any other byte might be something else (Mac, DOS, a Cyrillic code page), and is not guessed at.
CP1252_LETTERS = "æøåÆØÅäöüÄÖÜéÉèÈêÊóÓòÒôÔáÁàÀëïñç".encode("cp1252")


class RosterFileError(Exception):
    """The file cannot be read as a roster; the message says why and what to do."""


class LineError(Exception):
    """A line cannot be imported: the column at fault (empty: the line as a whole) and why."""

    def __init__(self, column: str, message: str) -> None:
        self.column = column
        self.message = message
        super().__init__(column, message)


Cells = Sequence[str]
RawLine = tuple[int, Cells | LineError]


@dataclass(frozen=True, kw_only=True)
class RosterFile:
    """An open roster. `lines` can be read once: its number, and its cells in the order of COLUMNS or what is wrong."""

    lines: Iterator[RawLine]
    estimated_lines: int  # for a progress bar
    ignored_columns: tuple[str, ...]


@contextmanager
def open_roster(file: Path) -> Iterator[RosterFile]:
    """Open a roster and read its header. Raises RosterFileError, also while the lines are read."""
    head = _read_head(file)
    with _open_xlsx(file) if head.startswith(b"PK\x03\x04") else _open_csv(file, head) as roster:
        yield roster


def _read_head(file: Path) -> bytes:
    if file.is_dir():
        raise RosterFileError(f"{file} is a folder: name the file.")
    if file.exists() and not file.is_file():
        raise RosterFileError(f"{file} is not a regular file: a roster is read twice, so save it first.")
    try:
        with file.open("rb") as stream:
            head = stream.read(LONGEST_LINE)
    except FileNotFoundError:
        raise RosterFileError(f"There is no file {file}.") from None
    except OSError as error:
        raise RosterFileError(f"{file} cannot be read: {error.strerror}.") from error
    if not head.strip():
        raise RosterFileError(f"{file} is empty.")
    return head


@contextmanager
def _open_csv(file: Path, head: bytes) -> Iterator[RosterFile]:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RosterFileError(f"{file} is UTF-16 text: save it as “CSV UTF-8” or as XLSX.")
    first_line = next(line for line in head.splitlines() if line.strip()).lower()
    if not any(column.encode() in first_line for column in COLUMNS):
        raise RosterFileError(f"{file} has no header, or is neither CSV nor XLSX: {_expected_header()}")
    encoding, line_count = _scan(file)
    with file.open(encoding=encoding, newline=None) as stream:
        lines = _number_lines(stream, file)
        header_at, header_line = next((number, line) for number, line in lines if line.strip())
        delimiter = max(",;", key=lambda delimiter: len(set(_read_header(header_line, delimiter)) & set(COLUMNS)))
        header = _read_header(header_line, delimiter)
        yield RosterFile(
            lines=_pick_columns(_split_lines(lines, delimiter), _places(file, header), width=len(header)),
            estimated_lines=max(line_count - header_at, 1),
            ignored_columns=_ignored(header),
        )


def _scan(file: Path) -> tuple[str, int]:
    """Return the encoding of the whole file, and how many line ends it has."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    known = bytes(range(128)) + CP1252_LETTERS
    line_count = 0
    bad_line = 0
    could_be_cp1252 = True
    with file.open("rb") as stream:
        for chunk in iter(partial(stream.read, 1 << 20), b""):
            if not bad_line:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    bad_line = line_count + error.object.count(b"\n", 0, error.start) + 1
            could_be_cp1252 = could_be_cp1252 and not chunk.translate(None, known)
            line_count += chunk.count(b"\n")
    if not bad_line and not decoder.getstate()[0]:
        return "utf-8-sig", line_count
    if could_be_cp1252:
        return "cp1252", line_count
    raise RosterFileError(
        f"{file} is not UTF-8 (line {bad_line or line_count}), and its encoding is not safe to guess: "
        "save it as “CSV UTF-8” or as XLSX."
    )


def _number_lines(stream: Any, file: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE), ""), 1):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise RosterFileError(f"{file} is not a roster: line {number} is longer than {LONGEST_LINE} characters.")
        yield number, line


def _split_lines(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[RawLine]:
    for number, line in lines:
        try:
            yield number, next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            yield number, LineError("", "a quotation mark is not closed on this line, or text follows it")


@contextmanager
def _open_xlsx(file: Path) -> Iterator[RosterFile]:
    """Read the first sheet; a formula counts as the value that was last computed for it."""
    with warnings.catch_warnings(), file.open("rb") as stream:
        warnings.filterwarnings("ignore", module="openpyxl")  # what it cannot keep, which nobody asked it to
        try:
            workbook = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            sheet: Any = workbook.worksheets[0]
        except Exception as error:  # a broken archive fails in a hundred ways
            raise _broken_xlsx(file, error) from error
        estimated_lines = max((sheet.max_row or 2) - 1, 1)
        sheet.reset_dimensions()  # some programs write a wrong size, and the rest would not be read
        rows = _xlsx_rows(sheet, file)
        header = [_clean_name(cell) for cell in next((cells for _number, cells in rows if any(cells)), [])]
        try:
            yield RosterFile(
                lines=_pick_columns(rows, _places(file, header)),
                estimated_lines=estimated_lines,
                ignored_columns=_ignored(header),
            )
        finally:
            workbook.close()


def _xlsx_rows(sheet: Any, file: Path) -> Iterator[tuple[int, Cells]]:
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            yield number, [_as_text(value) for value in row]
    except Exception as error:  # as above: the archive may break off anywhere
        raise _broken_xlsx(file, error) from error


def _as_text(value: object) -> str:
    """Return what a person would have typed into a CSV for the cell."""
    match value:
        case None:
            return ""
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case date() | time():
            return value.isoformat()
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _broken_xlsx(file: Path, error: Exception) -> RosterFileError:
    return RosterFileError(f"{file} is a broken XLSX file ({type(error).__name__}: {error}).")


def _read_header(line: str, delimiter: str) -> list[str]:
    header = [_clean_name(name) for name in next(csv.reader([line], delimiter=delimiter))]
    while header and not header[-1]:
        header.pop()
    return header


def _clean_name(name: str) -> str:
    return name.strip().lower()


def _places(file: Path, header: list[str]) -> list[int]:
    """Return where each of COLUMNS stands."""
    missing = [column for column in COLUMNS if column not in header]
    if len(missing) == len(COLUMNS):
        raise RosterFileError(f"{file} has no header: {_expected_header()}")
    if missing:
        raise RosterFileError(f"{file} lacks columns in its header: {', '.join(missing)}.")
    for column in COLUMNS:
        if header.count(column) > 1:
            raise RosterFileError(f"{file} names the column {column} twice in its header.")
    return [header.index(column) for column in COLUMNS]


def _ignored(header: list[str]) -> tuple[str, ...]:
    return tuple(name for name in header if name and name not in COLUMNS)


def _expected_header() -> str:
    return f"the first line must name the columns {', '.join(COLUMNS)}, with commas or semicolons between."


def _pick_columns(raw: Iterator[RawLine], places: list[int], *, width: int | None = None) -> Iterator[RawLine]:
    """Put the cells in the order of COLUMNS and pass over blank lines.

    With a width, a line with fewer or more cells is an error: a date cut off would be an open-ended certification.
    A sheet has no width; it leaves out the blank cells at the end of a row.
    """
    last_place = max(places)
    for number, raw_cells in raw:
        if isinstance(raw_cells, LineError):
            yield number, raw_cells
            continue
        cells = [unguard(cell.strip()) for cell in raw_cells]  # it may be a list that the desk exported
        if not any(cells):
            continue
        if width is not None and (len(cells) < width or any(cells[width:])):
            yield number, LineError("", f"has {len(cells)} cells, the header has {width}")
            continue
        cells.extend([""] * (last_place + 1 - len(cells)))
        yield number, [cells[place] for place in places]
