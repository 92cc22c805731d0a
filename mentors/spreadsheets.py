"""Cells of a file that a spreadsheet may open: what it would take for a formula is written so that it stays a text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

# What a spreadsheet takes for the beginning of a formula, and would calculate; perhaps guarded already.
FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guard(text: str) -> str:
    """Write a text so that a spreadsheet shows it and does not calculate it."""
    return f"'{text}" if FORMULA.match(text) else text


def unguard(text: str) -> str:
    """Return the text that was guarded, to the byte."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


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
