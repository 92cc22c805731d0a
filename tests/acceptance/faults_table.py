"""The table of docs/operations.md that says what each fault did; `make faults` fills it from a run of the tests."""

from __future__ import annotations

import fcntl
import re
from dataclasses import astuple, dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
BETWEEN = re.compile(r"(?<=<!-- faults:begin -->\n).*(?=<!-- faults:end -->)", re.DOTALL)
HEAD = (
    "| what broke | the alarm, when | the night was done | the all-clear | the record says |\n"
    "| --- | --- | --- | --- | --- |\n"
)

FAULTS = {
    "beat killed": "beat killed before its slot, started again 5 h later",
    "beat frozen": "beat frozen (SIGSTOP) before its slot, for 5 h",
    "redis down": "Redis down across the slot, for 100 min",
    "workers gone": "all workers gone, for 100 min",
    "database restarted": "the database stopped in mid-run, for 20 min",
    "web down": "the web server down, for 30 min",
    "mail down": "the mail server down, for 100 min",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    fault: str
    alarm: str
    night: str
    all_clear: str
    record: str


def rows_in(text: str) -> list[Row]:
    """Return the rows of the table in the page."""
    found = BETWEEN.search(text)
    lines = found[0].splitlines()[2:] if found else []
    names = tuple(Row.__dataclass_fields__)
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|"))
    return [Row(**dict(zip(names, row, strict=True))) for row in cells]


def write_row(row: Row, *, document: Path = DOCUMENT) -> None:
    """Put the row into the table, in the place of the one of the same fault."""
    with document.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        rows = {old.fault: old for old in rows_in(text)} | {row.fault: row}
        ordered = [rows[fault] for fault in FAULTS.values() if fault in rows]
        lines = "".join(f"| {' | '.join(astuple(each))} |\n" for each in ordered)
        file.seek(0)
        file.write(BETWEEN.sub(lambda _found: HEAD + lines, text))
        file.truncate()
