"""An exported file, read again: is it as it was written? Asked of the file alone; `verification` asks the database.

Every row has its number and its hash. So a changed row is told from one that was removed, put in or moved, each by its
line. Who rewrites the hashes too is found out by the seals: the items must be those that the run's seal was made of,
and the seal must be in the chain.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from cronjobs.records.digests import (
    COLUMNS,
    END_ROW,
    ITEM_FACTS,
    RUN_ROW,
    ItemsDigest,
    digest_seal,
    hash_row,
    text_of,
)
from mentors.spreadsheets import unguard

Row = dict[str, Any]
Line = tuple[int, Row | None]  # its number in the file, and its row if it can be read

CHANGED = "was changed"

csv.field_size_limit(10_000_000)  # the texts of a run, all in one cell


@dataclass(kw_only=True)
class FileReport:
    """What was checked, and what came of it: in order without faults. Notes are worth knowing, and no faults."""

    what: str
    runs: int = 0
    items: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class FiledRun:
    """A run that a file holds, with the seal that the file says it has."""

    line: int
    run_id: UUID
    seal: Row


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a row stands in the chain: its line, the hash before it, and its own."""

    line: int
    previous: str
    hash: str


def check_file(path: Path) -> tuple[FileReport, list[FiledRun]]:
    """Check a file by itself; return the report, and the runs that it holds."""
    check = _Check(str(path))
    for line, row in read_rows(path):
        check.line(line, row)
    check.end()
    return check.report, check.runs


def read_rows(path: Path) -> Iterator[Line]:
    """Yield the rows of a file, CSV or JSON, one at a time; the header is none. Raises OSError."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        is_json = file.read(1) == "["
        file.seek(0)
        yield from _json_rows(file) if is_json else _csv_rows(file)


def _csv_rows(lines: Iterator[str]) -> Iterator[Line]:
    reader, before = csv.reader(lines), 0
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            cells = []
        if cells is None:
            return
        line, before = before + 1, reader.line_num
        if line > 1 or tuple(cells) != COLUMNS:
            row: Row | None = None
            if len(cells) == len(COLUMNS):
                row = {column: unguard(cell) for column, cell in zip(COLUMNS, cells, strict=True)}
                row["record"] = row["record"] and _parse(row["record"])
            yield line, row


def _json_rows(lines: Iterator[str]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        text = line.strip().removesuffix(",")
        if text in ("[", "]", ""):
            continue
        row = _parse(text)
        if row is not None and str(row.get("at", "")).endswith("Z"):
            row["at"] = row["at"].removesuffix("Z") + "+00:00"
        yield number, row


def _parse(text: str) -> Row | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class _Check:
    """Goes through a file line by line, and notes what is wrong where."""

    def __init__(self, what: str) -> None:
        self.report = FileReport(what=what)
        self.runs: list[FiledRun] = []
        self._next = 1  # the number of the row that should come now
        self._last = _Place(line=0, previous="", hash="")
        self._missing: dict[int, int] = {}  # numbers of rows passed over, each with the line before which it should be
        self._items = ItemsDigest()  # of the run whose items these are
        self._is_closed = False

    def line(self, line: int, row: Row | None) -> None:
        if row is None:
            self._fault(line, "cannot be read")
        elif self._is_closed:
            self._fault(line, "stands behind the end of the file")
        elif self._is_in_place(line, row):
            if row.get("action") == RUN_ROW:
                self._close_run(line, row)
            elif row.get("action") == END_ROW:
                self._is_closed = True
            else:
                self.report.items += 1
                self._items.add([row.get(name) for name in ITEM_FACTS])

    def end(self) -> None:
        if not self._is_closed:
            self.report.faults.append("the file is cut off at its end: its last row is missing")
        for first, last, line in _ranges(self._missing):
            self._fault(line, f"row {first} is missing" if first == last else f"rows {first} to {last} are missing")

    def _is_in_place(self, line: int, row: Row) -> bool:
        """Check a row by its number and hash; one that does not belong where it stands is not looked at further."""
        text = text_of(row.get("row"))
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 8 else None
        place = _Place(line=line, previous=self._last.hash, hash=text_of(row.get("hash")))
        if number != self._next and hash_row(place.previous, row | {"row": self._next}) == place.hash:
            number = None  # the number itself was changed
        if number is None or number == self._next:
            if number is None or hash_row(place.previous, row) != place.hash:
                self._fault(line, CHANGED)
        elif number > self._next:
            self._missing |= dict.fromkeys(range(self._next, number), line)
            self._next = number
        else:
            self._misplaced(number, row, line=line)
            return False
        self._next += 1
        self._last = place
        return True

    def _misplaced(self, number: int, row: Row, *, line: int) -> None:
        """Say of a row whose number has come before, or was passed over, what became of it."""
        if self._missing.pop(number, None):
            self._fault(line, f"row {number} was moved here")
            return
        before = self._last
        if hash_row(before.previous, row) == text_of(row.get("hash")):
            # This one is the true one: the row before it took its place.
            self._last = _Place(line=line, previous=before.previous, hash=text_of(row.get("hash")))
            self.report.faults = [fault for fault in self.report.faults if fault != f"line {before.line}: {CHANGED}"]
            line = before.line
        self._fault(line, "was put in")

    def _close_run(self, line: int, row: Row) -> None:
        items, self._items = self._items, ItemsDigest()
        record: Row = row["record"] if isinstance(row.get("record"), dict) else {}
        facts: Row = record.get("facts") or {}
        seal = record.get("seal")
        run_id = _uuid_of(facts)
        if run_id is None:
            self._fault(line, "has no record of its run")
            return
        self.report.runs += 1
        if not isinstance(seal, dict):
            self.report.notes.append(f"line {line}: run {run_id} was not sealed when the file was written")
            return
        self.runs.append(FiledRun(line=line, run_id=run_id, seal=seal))
        if digest_seal(text_of(seal.get("previous")), seal) != seal.get("digest"):
            self._fault(line, "the seal is not what its digest says")
        if record.get("is_part"):
            self.report.notes.append(
                f"line {line}: {items.count} of the run's {text_of(seal.get('items'))} items, as far as who exported "
                "them sees them: a part cannot be compared with the seal"
            )
        elif items.of_record(facts) != seal.get("record_digest"):
            self._fault(line, f"the run and its items are not what seal {text_of(seal.get('number'))} was made of")

    def _fault(self, line: int, text: str) -> None:
        self.report.faults.append(f"line {line}: {text}")


def _uuid_of(facts: Any) -> UUID | None:
    try:
        return UUID(facts["id"])
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _ranges(missing: dict[int, int]) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, line) for the numbers that follow one another before the same line."""
    first: int | None = None
    for number, line in sorted(missing.items()):
        first = number if first is None else first
        if missing.get(number + 1) != line:
            yield first, number, line
            first = None
