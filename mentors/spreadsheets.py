"""Cells of a file that a spreadsheet may open: what it would take for a formula is written so that it stays a text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

# Where a cell begins: a list separator of any country's Excel, or a break of lines. A cell may be split at any of them,
# because a spreadsheet goes by its own separator, and then the quotation marks around the cell are not at its ends.
SEPARATORS = ",;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"
# What a spreadsheet passes over there: quotation marks, blanks, and what nobody sees.
SKIPPED = (
    '" \x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f'
    "\u2000-\u200f\u202a-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff"
)
# What begins a formula, in every width.
SIGNS = "-=+@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
# A formula wherever the text is split, and the apostrophes before its sign.
FORMULA = re.compile(rf"((?:^|[{SEPARATORS}])[{SKIPPED}]*+)('*+)(?=[{SIGNS}])")
# How XLSX writes a character that XML cannot hold: _x001B_.
XLSX_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def guard(text: str) -> str:
    """Write a text so that a spreadsheet shows it and calculates nothing, at whatever separator it splits the text."""
    return FORMULA.sub(r"\1'\2", text)


def unguard(text: str) -> str:
    """Return the text that was guarded, to the byte."""
    return FORMULA.sub(lambda found: found[1] + found[2][1:], text)


def escape_xlsx(text: str) -> str:
    """Write a text so that a spreadsheet reads no other character in it: what looks like an escape is none."""
    return re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)


def unescape_xlsx(text: str) -> str:
    """Return the text that stands in an XLSX."""
    return XLSX_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def text_of_cell(value: object) -> str:
    """Return the text that a file shows of a value."""
    if type(value) is str:  # most are
        return value
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
