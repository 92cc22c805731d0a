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
from typing import Any, TextIO

from openpyxl import load_workbook

from certifications.roster_errors import FileCode, LineCode, LineError, RosterFileError
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
    try:
        head = _read_head(file)
        with _open_xlsx(file) if head.startswith(b"PK\x03\x04") else _open_csv(file, head) as roster:
            yield roster
    except RosterFileError as error:
        error.file = file
        raise


def _read_head(file: Path) -> bytes:
    if file.is_dir():
        raise RosterFileError(FileCode.FOLDER)
    if file.exists() and not file.is_file():
        raise RosterFileError(FileCode.NO_REGULAR_FILE)
    try:
        with file.open("rb") as stream:
            head = stream.read(LONGEST_LINE)
    except FileNotFoundError:
        raise RosterFileError(FileCode.NOT_FOUND) from None
    except OSError as error:
        raise RosterFileError(FileCode.UNREADABLE, error=error.strerror) from error
    if not head.strip():
        raise RosterFileError(FileCode.EMPTY)
    return head


@contextmanager
def _open_csv(file: Path, head: bytes) -> Iterator[RosterFile]:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RosterFileError(FileCode.UTF_16)
    first_line = next(line for line in head.splitlines() if line.strip()).lower()
    if not any(column.encode() in first_line for column in COLUMNS):
        raise RosterFileError(FileCode.UNKNOWN_FORMAT, columns=", ".join(COLUMNS))
    encoding, line_count = _scan(file)
    with file.open(encoding=encoding, newline=None) as stream:
        lines = _number_lines(stream)
        header_at, header_line = next((number, line) for number, line in lines if line.strip())
        delimiter = max(",;", key=lambda delimiter: len(set(_read_header(header_line, delimiter)) & set(COLUMNS)))
        header = _read_header(header_line, delimiter)
        yield RosterFile(
            lines=_pick_columns(_split_lines(lines, delimiter), _places(header), width=len(header)),
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
    raise RosterFileError(FileCode.UNKNOWN_ENCODING, line=bad_line or line_count)


def _number_lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE), ""), 1):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise RosterFileError(FileCode.LONG_LINE, line=number, length=LONGEST_LINE)
        yield number, line


def _split_lines(lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[RawLine]:
    for number, line in lines:
        try:
            yield number, next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            yield number, LineError("", LineCode.OPEN_QUOTE)


@contextmanager
def _open_xlsx(file: Path) -> Iterator[RosterFile]:
    """Read the first sheet; a formula counts as the value that was last computed for it."""
    with warnings.catch_warnings(), file.open("rb") as stream:
        warnings.filterwarnings("ignore", module="openpyxl")  # what it cannot keep, which nobody asked it to
        try:
            workbook = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            sheet: Any = workbook.worksheets[0]
        except Exception as error:  # a broken archive fails in a hundred ways
            raise _broken_xlsx(error) from error
        estimated_lines = max((sheet.max_row or 2) - 1, 1)
        sheet.reset_dimensions()  # some programs write a wrong size, and the rest would not be read
        rows = _xlsx_rows(sheet)
        header = [cell.strip().lower() for cell in next((cells for _number, cells in rows if any(cells)), [])]
        try:
            yield RosterFile(
                lines=_pick_columns(rows, _places(header)),
                estimated_lines=estimated_lines,
                ignored_columns=_ignored(header),
            )
        finally:
            workbook.close()


def _xlsx_rows(sheet: Any) -> Iterator[tuple[int, Cells]]:
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            yield number, [_as_text(value) for value in row]
    except Exception as error:  # as above: the archive may break off anywhere
        raise _broken_xlsx(error) from error


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


def _broken_xlsx(error: Exception) -> RosterFileError:
    return RosterFileError(FileCode.BROKEN_XLSX, error=f"{type(error).__name__}: {error}")


def _read_header(line: str, delimiter: str) -> list[str]:
    header = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter))]
    while header and not header[-1]:
        header.pop()
    return header


def _places(header: list[str]) -> list[int]:
    """Return where each of COLUMNS stands."""
    missing = [column for column in COLUMNS if column not in header]
    if len(missing) == len(COLUMNS):
        raise RosterFileError(FileCode.NO_HEADER, columns=", ".join(COLUMNS))
    if missing:
        raise RosterFileError(FileCode.MISSING_COLUMNS, columns=", ".join(missing))
    for column in COLUMNS:
        if header.count(column) > 1:
            raise RosterFileError(FileCode.REPEATED_COLUMN, column=column)
    return [header.index(column) for column in COLUMNS]


def _ignored(header: list[str]) -> tuple[str, ...]:
    return tuple(name for name in header if name and name not in COLUMNS)


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
            yield number, LineError("", LineCode.CELL_COUNT, cells=len(cells), width=width)
            continue
        cells.extend([""] * (last_place + 1 - len(cells)))
        yield number, [cells[place] for place in places]
