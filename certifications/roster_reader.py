"""The process that reads a roster: CSV as Excel and people write it, or XLSX. Nothing here knows Django.

`python -m certifications.roster_reader LIMITS < FILE` writes a JSON document a line: first what the file has, then each
of its lines, then null; or, at whatever point, why the file cannot be read. Whoever made the file does not decide what
reading it costs: the process has limits of CPU, memory and time, and the system ends it when it reaches one.

One line of a CSV is one line of the roster: a cell never spans two, so a forgotten quotation mark costs its own line
and cannot swallow those after it.
"""

from __future__ import annotations

import codecs
import csv
import json
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from io import TextIOWrapper
from typing import IO, Any, TextIO
from zipfile import ZipFile

from mentors.spreadsheets import unescape_xlsx, unguard

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
LONGEST_LINE = 65_536  # characters of a CSV
LONGEST_CELL = 1000  # characters; none of the columns takes as many
# Where a sheet of Excel ends. A row number beyond it is no row, and would be counted up to.
LAST_ROW = 1_048_576
LAST_COLUMN = 100  # what stands further right is not looked at
MOST_MEMBERS = 1000  # of an archive; a workbook of one sheet has about ten
# What a Norwegian Excel writes outside ASCII when it saves a CSV in its own encoding, cp1252. A file that is not UTF-8
# and has any other byte might be something else (Mac, DOS, a Cyrillic code page), and is not guessed at.
CP1252_LETTERS = "æøåÆØÅäöüÄÖÜéÉèÈêÊóÓòÒôÔáÁàÀëïñç".encode("cp1252")

Cells = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading a file may cost, and what may come of it."""

    cpu_seconds: int
    seconds: int
    memory: int  # bytes
    unpacked: int  # bytes: an XLSX is an archive, and a small one may hold anything
    characters: int  # of all lines
    lines: int | None = None


class Refused(Exception):
    """The file is no roster: a FileCode and its parameters."""

    def __init__(self, code: str, **params: object) -> None:
        self.code = code
        self.params = params
        super().__init__(code, params)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a line before anybody looks at its values: a LineCode, its parameters, and a column if one."""

    code: str
    params: dict[str, object]
    column: str = ""


Line = tuple[int, Cells | Fault]  # its number


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a file has below its header. `lines` can be read once, each with its cells in the order of COLUMNS."""

    lines: Iterator[Line]
    estimated_lines: int
    ignored_columns: Sequence[str]


def main() -> None:
    limits = Limits(**json.loads(sys.argv[1]))
    _submit_to(limits)
    try:
        with _open(sys.stdin.buffer, limits) as contents:
            _say({"estimated_lines": contents.estimated_lines, "ignored_columns": contents.ignored_columns})
            for number, line in _bounded(contents.lines, limits):
                _say([number, line.column, line.code, line.params] if isinstance(line, Fault) else [number, line])
        _say(None)
    except Refused as refused:
        _say({"code": refused.code, "params": refused.params})
    except MemoryError:
        _say({"code": "too_large", "params": {}})
    except Exception as error:
        traceback.print_tb(error.__traceback__)  # for who starts it by hand
        _say({"code": "unknown_fault", "params": {}})
    sys.stdout.flush()


def _submit_to(limits: Limits) -> None:
    """Have the system end this process when it costs more, or when nobody reads what it writes."""
    for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # people's names would be in it


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


def _open(stream: IO[bytes], limits: Limits) -> Any:
    head = stream.read(LONGEST_LINE)
    stream.seek(0)
    if not head.strip():
        raise Refused("empty")
    return _open_xlsx(stream, limits) if head.startswith(b"PK\x03\x04") else _open_csv(stream, head)


def _bounded(lines: Iterator[Line], limits: Limits) -> Iterator[Line]:
    """Clean the cells, pass over blank lines, and end when it is enough."""
    characters = 0
    for count, (number, line) in enumerate(_clean(lines), 1):
        if limits.lines is not None and count > limits.lines:
            raise Refused("too_many_lines", lines=limits.lines)
        if not isinstance(line, Fault):
            characters += sum(map(len, line))
            if characters > limits.characters:
                raise Refused("too_large")
        yield number, line


def _clean(lines: Iterator[Line]) -> Iterator[Line]:
    for number, line in lines:
        if isinstance(line, Fault):
            yield number, line
            continue
        cells = [unguard(cell.strip()) for cell in line]  # it may be a list that the desk exported
        long = next((column for column, cell in zip(COLUMNS, cells, strict=True) if len(cell) > LONGEST_CELL), None)
        yield number, Fault(code="too_long", params={"length": LONGEST_CELL}, column=long) if long else cells


@contextmanager
def _open_csv(stream: IO[bytes], head: bytes) -> Iterator[Contents]:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Refused("utf_16")
    first_line = next(line for line in head.splitlines() if line.strip()).lower()
    if not any(column.encode() in first_line for column in COLUMNS):
        raise Refused("unknown_format", columns=", ".join(COLUMNS))
    encoding, line_count = _scan(stream)
    stream.seek(0)
    lines = _number_lines(TextIOWrapper(stream, encoding=encoding, newline=None))
    header_at, header_line = next(lines)
    delimiter = max(",;", key=lambda delimiter: len(set(_read_header(header_line, delimiter)) & set(COLUMNS)))
    header = _read_header(header_line, delimiter)
    yield Contents(
        lines=_csv_lines(lines, delimiter, places=_find_places(header), width=len(header)),
        estimated_lines=max(line_count - header_at, 1),
        ignored_columns=_find_ignored(header),
    )


def _scan(stream: IO[bytes]) -> tuple[str, int]:
    """Return the encoding of the whole file, and how many line ends it has."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    known = bytes(range(128)) + CP1252_LETTERS
    line_count = 0
    bad_line = 0
    could_be_cp1252 = True
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
    raise Refused("unknown_encoding", line=bad_line or line_count)


def _number_lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank."""
    for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE), ""), 1):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise Refused("long_line", line=number, length=LONGEST_LINE)
        if not line.isspace():
            yield number, line


def _read_header(line: str, delimiter: str) -> list[str]:
    header = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter))]
    while header and not header[-1]:
        header.pop()
    return header


def _csv_lines(lines: Iterator[tuple[int, str]], delimiter: str, *, places: list[int], width: int) -> Iterator[Line]:
    """Take the lines apart. One with fewer or more cells is at fault: with its date cut off it would never expire."""
    for number, line in lines:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
        except csv.Error:
            yield number, Fault(code="open_quote", params={})
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            yield number, Fault(code="cell_count", params={"cells": len(cells), "width": width})
            continue
        yield number, [cells[place] for place in places]


@contextmanager
def _open_xlsx(stream: IO[bytes], limits: Limits) -> Iterator[Contents]:
    """Read the first sheet; a formula counts as the value that was last computed for it."""
    with warnings.catch_warnings(), _told_as_refused():
        warnings.filterwarnings("ignore", module="openpyxl")  # what it cannot keep, which nobody asked it to
        _check_members(stream, limits)
        from openpyxl import load_workbook  # which takes longer to import than a CSV to be read

        workbook = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet: Any = workbook.worksheets[0]
        estimated_lines = min(max((sheet.max_row or 2) - 1, 1), LAST_ROW)
        sheet.reset_dimensions()  # some programs write a wrong size, and the rest would not be read
        rows = _xlsx_rows(sheet)
        header = [_as_text(value).strip().lower() for value in next(rows, (0, ()))[1]]
        yield Contents(
            lines=_xlsx_lines(rows, _find_places(header)),
            estimated_lines=estimated_lines,
            ignored_columns=_find_ignored(header),
        )


@contextmanager
def _told_as_refused() -> Iterator[None]:
    """Tell what openpyxl makes of a broken archive, which fails in a hundred ways, and anywhere."""
    # Its presence has openpyxl parse with it: no entity of a document is ever expanded, nothing fetched.
    from defusedxml import DefusedXmlException

    try:
        yield
    except Refused:
        raise
    except Exception as error:
        reason: BaseException = error
        while reason.__cause__:  # which openpyxl wraps
            reason = reason.__cause__
        if isinstance(reason, MemoryError):
            raise MemoryError from error
        if isinstance(reason, DefusedXmlException):
            raise Refused("xml_entities") from error
        said = " ".join(f"{type(reason).__name__}: {reason}".split())
        raise Refused("broken_xlsx", error=said[:200]) from error


def _check_members(stream: IO[bytes], limits: Limits) -> None:
    with ZipFile(stream) as archive:  # which reads no more of a member than its size says
        members = archive.infolist()
    if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > limits.unpacked:
        raise Refused("too_large")


def _xlsx_rows(sheet: Any) -> Iterator[tuple[int, tuple[object, ...]]]:
    """Yield the rows that are not blank."""
    rows = sheet.iter_rows(values_only=True, max_row=LAST_ROW + 1, max_col=LAST_COLUMN)
    for number, row in enumerate(rows, 1):
        if number > LAST_ROW:
            raise Refused("too_many_rows", rows=LAST_ROW)
        if row.count(None) < len(row) and any(_as_text(value).strip() for value in row if value is not None):
            yield number, row


def _xlsx_lines(rows: Iterator[tuple[int, tuple[object, ...]]], places: list[int]) -> Iterator[Line]:
    for number, row in rows:
        yield number, [_as_text(row[place]) for place in places]


def _as_text(value: object) -> str:
    """Return what a person would have typed into a CSV for the cell."""
    match value:
        case str():
            return unescape_xlsx(value)
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


def _find_places(header: list[str]) -> list[int]:
    """Return where each of COLUMNS stands."""
    missing = [column for column in COLUMNS if column not in header]
    if len(missing) == len(COLUMNS):
        raise Refused("no_header", columns=", ".join(COLUMNS))
    if missing:
        raise Refused("missing_columns", columns=", ".join(missing))
    for column in COLUMNS:
        if header.count(column) > 1:
            raise Refused("repeated_column", column=column)
    return [header.index(column) for column in COLUMNS]


def _find_ignored(header: list[str]) -> list[str]:
    return [name[:100] for name in header if name and name not in COLUMNS][:LAST_COLUMN]


if __name__ == "__main__":
    main()
