"""One line of a roster: its cells checked and turned into values, or the first column at fault."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from certifications.models import Certification
from certifications.roster_errors import LineCode, LineError
from certifications.roster_reader import COLUMNS, Cells
from mentors.models import LANGUAGES, Chapter, Mentor, validate_phone
from mentors.validators import NOT_OF_A_LINE

KNOWN_LANGUAGES = {code for code, _name in LANGUAGES}
ISO_DATE = re.compile(r"([0-9]{4,})-([0-9]{2})-([0-9]{2})")
NORWEGIAN_DATE = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4,})")
# What Excel shows, in English and in Norwegian, where a formula has no value.
SPREADSHEET_ERRORS = frozenset(
    ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#I/T", "#VERDI!", "#NAVN?"]
)
REQUIRED = ("chapter", "mentor_ref", "name", "certification", "issued_on")
MAX_LENGTHS = {
    "chapter": Chapter._meta.get_field("name").max_length,
    "mentor_ref": Mentor._meta.get_field("ref").max_length,
    "name": Mentor._meta.get_field("name").max_length,
    "email": Mentor._meta.get_field("email").max_length,
    "number": Certification._meta.get_field("number").max_length,
}


class RosterLine(NamedTuple):
    """The values of a good line, in the order of the columns of the temporary table."""

    chapter: str
    ref: str
    name: str
    email: str
    phone: str
    language: str
    type_id: int
    number: str
    issued_on: date
    expires_on: date | None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the organisation has: its chapters (None: any name will do), its types' ids by code, its language."""

    chapters: Collection[str] | None
    types: Mapping[str, int]
    language: str


def parse_line(cells: Cells, *, known: Known) -> RosterLine:
    """Return the values of a line. Raises LineError for the first column at fault."""
    values = {column: _clean(column, cell) for column, cell in zip(COLUMNS, cells, strict=True)}
    if known.chapters is not None and values["chapter"] not in known.chapters:
        raise LineError("chapter", LineCode.UNKNOWN_CHAPTER)
    email = _check("email", values["email"].lower(), validate_email, LineCode.INVALID_EMAIL)
    phone = _check("phone", "".join(values["phone"].split()), validate_phone, LineCode.INVALID_PHONE)
    language = values["language"].lower() or known.language
    if language not in KNOWN_LANGUAGES:
        raise LineError("language", LineCode.UNKNOWN_LANGUAGE, languages=", ".join(sorted(KNOWN_LANGUAGES)))
    type_id = known.types.get(values["certification"])
    if type_id is None:
        raise LineError("certification", LineCode.UNKNOWN_TYPE, types=", ".join(sorted(known.types)))
    issued_on = _parse_date("issued_on", values["issued_on"])
    expires_on = _parse_date("expires_on", values["expires_on"]) if values["expires_on"] else None
    if expires_on and expires_on < issued_on:
        raise LineError("expires_on", LineCode.EXPIRES_TOO_EARLY)
    return RosterLine(
        chapter=values["chapter"],
        ref=values["mentor_ref"],
        name=values["name"],
        email=email,
        phone=phone,
        language=language,
        type_id=type_id,
        number=values["number"],
        issued_on=issued_on,
        expires_on=expires_on,
    )


def _clean(column: str, cell: str) -> str:
    # One name typed on a Mac and on Windows must be one name: å can be one character or two.
    value = cell if cell.isascii() else unicodedata.normalize("NFC", cell)
    if not value and column in REQUIRED:
        raise LineError(column, LineCode.REQUIRED)
    if NOT_OF_A_LINE.search(value):
        raise LineError(column, LineCode.NUL_BYTE if "\x00" in value else LineCode.CONTROL_CHARACTER)
    if value in SPREADSHEET_ERRORS:
        raise LineError(column, LineCode.SPREADSHEET_ERROR)
    max_length = MAX_LENGTHS.get(column)
    if max_length and len(value) > max_length:
        raise LineError(column, LineCode.TOO_LONG, length=max_length)
    return value


def _check(column: str, value: str, validate: Callable[[str], None], code: LineCode) -> str:
    if value:
        try:
            validate(value)
        except ValidationError:
            raise LineError(column, code) from None
    return value


def _parse_date(column: str, value: str) -> date:
    if match := ISO_DATE.fullmatch(value):
        year, month, day = match.groups()
    elif match := NORWEGIAN_DATE.fullmatch(value):
        day, month, year = match.groups()
    else:
        raise LineError(column, LineCode.AMBIGUOUS_DATE)
    try:
        return date(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        raise LineError(column, LineCode.IMPOSSIBLE_DATE) from None
