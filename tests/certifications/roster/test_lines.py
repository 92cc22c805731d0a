"""Importing a roster: what a line becomes."""

from __future__ import annotations

from datetime import date

import pytest

from certifications.models import Certification
from mentors.models import Chapter, Mentor, Organisation
from tests.conftest import NOW
from tests.support.roster import LIV, Import, line, the_error, verdicts


def test_a_new_line_creates_a_mentor_and_a_certification(roster: Import, hlf: Organisation, oslo: Chapter) -> None:
    report = roster(LIV)

    assert verdicts(report) == ["created"]
    mentor = Mentor.objects.get()
    assert (mentor.organisation, mentor.chapter, mentor.ref, mentor.name) == (hlf, oslo, "M1", "Liv Moe")
    assert (mentor.email, mentor.phone, mentor.language) == ("liv@example.org", "+4712345678", "nn")
    assert (mentor.status, mentor.listed, mentor.updated_at) == ("active", True, NOW)
    certification = Certification.objects.get()
    assert (certification.mentor, certification.type.code, certification.number) == (mentor, "likepersonkurs", "C1")
    assert (certification.issued_on, certification.expires_on) == (date(2026, 1, 1), date(2027, 1, 1))
    assert mentor.lapses_on == date(2027, 1, 2)


@pytest.mark.parametrize(
    ("column", "typed", "kept"),
    [
        ("name", "  Liv Moe ", "Liv Moe"),
        ("name", "A\u030ase Moe", "Åse Moe"),
        ("name", '"=HYPERLINK(""http://evil.example"")"', '=HYPERLINK("http://evil.example")'),
        ("email", "Liv@EXAMPLE.org", "liv@example.org"),
        ("email", "", ""),
        ("phone", "+47 12 34 56 78", "+4712345678"),
        ("phone", "", ""),
        ("language", "NN", "nn"),
        ("language", "", "nb"),
    ],
)
def test_a_cell_is_tidied(roster: Import, column: str, typed: str, kept: str) -> None:
    roster(line(**{column: typed}))

    assert getattr(Mentor.objects.get(), column) == kept


@pytest.mark.parametrize(
    ("typed", "kept"), [("2027-02-01", date(2027, 2, 1)), ("01.02.2027", date(2027, 2, 1)), ("", None)]
)
def test_a_date_is_iso_or_norwegian_and_an_empty_expiry_is_open_ended(
    roster: Import, typed: str, kept: date | None
) -> None:
    roster(line(expires_on=typed))

    assert Certification.objects.get().expires_on == kept


@pytest.mark.parametrize(
    ("column", "typed", "message"),
    [
        ("chapter", "", "required"),
        ("chapter", "Tromsø", "unknown chapter"),
        ("mentor_ref", "", "required"),
        ("mentor_ref", "M" * 51, "longer than 50 characters"),
        ("name", "", "required"),
        ("name", "Liv\x00Moe", "contains a NUL byte"),
        ("name", "Liv\x1b[2JMoe", "contains a control character"),
        ("name", "L" * 201, "longer than 200 characters"),
        ("name", "#REF!", "the spreadsheet had no value"),
        ("email", "not-an-address", "invalid e-mail"),
        ("email", "m" * 250 + "@example.org", "longer than 254 characters"),
        ("phone", "ring meg", "invalid phone number"),
        ("phone", "12345678", "invalid phone number"),
        ("language", "klingon", "unknown language"),
        ("certification", "", "required"),
        ("certification", "ukjent", "unknown certification type: there are likepersonkurs"),
        ("number", "C" * 51, "longer than 50 characters"),
        ("issued_on", "", "required"),
        ("issued_on", "03/04/2025", "ambiguous date format"),
        ("issued_on", "1.2.25", "ambiguous date format"),
        ("issued_on", "45678", "ambiguous date format"),
        ("issued_on", "31.02.2025", "impossible date"),
        ("issued_on", "0000-01-01", "impossible date"),
        ("expires_on", "31.01.99999", "impossible date"),
        ("expires_on", "31.01." + "9" * 900, "impossible date"),
        ("expires_on", "2025-12-31", "expires before it was issued"),
    ],
)
def test_a_wrong_cell_is_an_error_with_its_column(roster: Import, column: str, typed: str, message: str) -> None:
    report = roster(line(**{column: typed}))

    at, why = the_error(report)
    assert (at, why[: len(message)]) == (column, message)
    assert not Mentor.objects.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LIV.rpartition(",")[0], "has 9 cells, the header has 10"),
        (line(name="Moe, Liv"), "has 11 cells, the header has 10"),
        (line(name='"Liv Moe'), "a quotation mark is not closed on this line, or text follows it"),
    ],
)
def test_a_line_out_of_shape_is_an_error_that_spares_the_lines_after_it(
    roster: Import, text: str, message: str
) -> None:
    report = roster(text, line(mentor_ref="M2"), skip_errors=True)

    assert verdicts(report) == ["error", "created"]
    assert the_error(report) == ("", message)


def test_blank_lines_are_passed_over_and_lines_keep_their_numbers(roster: Import) -> None:
    report = roster("", "  ,,,,,,,,,", LIV)

    assert [(line.line, line.verdict) for line in report.lines] == [(4, "created")]
