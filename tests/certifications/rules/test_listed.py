"""Whom the public page shows (docs/rules.md, rule 11)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from certifications.coverage import public_names
from certifications.models import CertificationType
from mentors.models import Chapter, Mentor, User
from tests.conftest import TODAY, Certify, Enrol
from tests.support.rules import exempt, status


def on_the_page(chapter: Chapter, on: date = TODAY) -> list[str]:
    names = public_names(chapter=chapter, on=on)
    return sorted(Mentor.objects.filter(name__in=names).values_list("ref", flat=True))


def test_the_public_page_shows_active_mentors_who_consent_and_are_covered(
    oslo: Chapter, bergen: Chapter, enrol: Enrol, certify: Certify
) -> None:
    cast: dict[str, dict[str, Any]] = {
        "shown": {},
        "never certified": {},
        "not listed": {"listed": False},
        "elsewhere": {"chapter": bergen},
        "paused": {"status": "paused", "pause_cause": "manual"},
        "ended": {"status": "ended"},
    }
    for ref, fields in cast.items():
        mentor = enrol(ref=ref, **fields)
        if ref != "never certified":
            certify(mentor)

    assert on_the_page(oslo) == ["never certified", "shown"]


@pytest.mark.parametrize(("expires_in", "shown"), [(0, True), (-1, False)])
def test_the_public_page_never_shows_a_mentor_with_a_lapsed_type_whatever_became_of_the_night(
    oslo: Chapter, mentor: Mentor, certify: Certify, expires_in: int, shown: bool
) -> None:
    certify(mentor, expires_in=expires_in)

    assert (on_the_page(oslo) == ["M0"]) is shown
    assert status(mentor) == ("active", None)


def test_the_public_page_shows_who_is_exempted_or_lacks_an_optional_type(
    oslo: Chapter,
    course: CertificationType,
    sign_language: CertificationType,
    enrol: Enrol,
    certify: Certify,
    olav: User,
) -> None:
    exempted, optional = enrol(ref="exempted"), enrol(ref="optional")
    certify(exempted, expires_in=-1)
    exempt(exempted, course, olav)
    certify(optional, type=sign_language, expires_in=-1)

    assert on_the_page(oslo) == ["exempted", "optional"]
