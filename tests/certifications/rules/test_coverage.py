"""What covers a type, and which types have lapsed or are missing (docs/rules.md, rules 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from certifications.coverage import find_gaps, find_stand_ins, lapsed_types, uncovered_types
from certifications.models import CertificationType
from mentors.models import Chapter, Mentor, Organisation, User
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.rules import configure, exempt


def is_covered(mentor: Mentor, type: CertificationType, *, on: date = TODAY) -> bool:
    return type not in uncovered_types(mentor=mentor, on=on)


def missing_types(mentor: Mentor) -> list[str]:
    return find_gaps({mentor.pk: TODAY})[mentor.pk].missing


def codes(types: Sequence[CertificationType]) -> list[str]:
    return [type.code for type in types]


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "grace_days", "expires_in", "covered"),
    [
        (True, 0, 1, True),
        (True, 0, 0, True),
        (True, 0, -1, False),
        (False, 0, 1, True),
        (False, 0, 0, False),
        (True, 3, -3, True),
        (True, 3, -4, False),
        (False, 3, -2, True),
        (False, 3, -3, False),
        (True, 0, None, True),
    ],
)
def test_a_type_is_covered_until_its_certification_lapses(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    grace_days: int,
    expires_in: int | None,
    covered: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    CertificationType.objects.update(grace_days=grace_days)

    certify(mentor, expires_in=expires_in)

    assert is_covered(mentor, course) is covered
    assert codes(lapsed_types(mentor=mentor, on=TODAY)) == ([] if covered else ["likepersonkurs"])


@pytest.mark.parametrize(("issued", "covered"), [(-1, True), (0, True), (1, False)])
def test_a_type_is_covered_from_the_day_of_issue(
    course: CertificationType, mentor: Mentor, certify: Certify, issued: int, covered: bool
) -> None:
    certify(mentor, issued=issued)

    assert is_covered(mentor, course) is covered


@pytest.mark.parametrize(
    ("begins", "ends", "covered"), [(-5, -1, False), (-5, 0, True), (0, 0, True), (0, 5, True), (1, 5, False)]
)
def test_an_exemption_covers_from_its_first_day_through_its_last(
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    olav: User,
    begins: int,
    ends: int,
    covered: bool,
) -> None:
    certify(mentor, expires_in=-30)

    exempt(mentor, course, olav, begins=begins, ends=ends)

    assert is_covered(mentor, course) is covered
    assert (lapsed_types(mentor=mentor, on=TODAY) == []) is covered


def test_an_exemption_covers_its_own_type_and_mentor_only(
    course: CertificationType, secrecy: CertificationType, enrol: Enrol, certify: Certify, olav: User
) -> None:
    exempted, other = enrol(), enrol()
    for mentor in (exempted, other):
        certify(mentor, expires_in=-30)
        certify(mentor, type=secrecy, expires_in=-30)

    exempt(exempted, course, olav)

    assert codes(lapsed_types(mentor=exempted, on=TODAY)) == ["taushetserklaering"]
    assert codes(lapsed_types(mentor=other, on=TODAY)) == ["likepersonkurs", "taushetserklaering"]


def test_a_revoked_certification_covers_nothing(course: CertificationType, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, revoked_at=NOW)

    assert not is_covered(mentor, course)


def test_any_one_certification_of_the_type_covers_it(
    course: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-400, issued=-800)
    certify(mentor, expires_in=10)
    certify(mentor, expires_in=-10)

    assert is_covered(mentor, course)


def test_a_required_type_never_held_is_missing_and_not_lapsed(
    course: CertificationType, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    assert codes(lapsed_types(mentor=mentor, on=TODAY)) == ["likepersonkurs"]
    assert missing_types(mentor) == ["taushetserklaering"]


@pytest.mark.parametrize("fields", [{"revoked_at": NOW}, {"issued": 1}])
def test_a_type_held_only_by_a_revoked_or_a_coming_certification_is_missing_and_not_lapsed(
    course: CertificationType, mentor: Mentor, certify: Certify, fields: dict[str, Any]
) -> None:
    certify(mentor, **fields)

    assert lapsed_types(mentor=mentor, on=TODAY) == []
    assert missing_types(mentor) == [course.code]


def test_an_optional_type_neither_lapses_nor_is_missing(
    sign_language: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=sign_language, expires_in=-1)

    assert lapsed_types(mentor=mentor, on=TODAY) == []
    assert sign_language.code not in missing_types(mentor)


def test_only_who_lacks_nothing_may_take_over(
    oslo: Chapter, secrecy: CertificationType, enrol: Enrol, certify: Certify
) -> None:
    for name, expires_in in {"All": [300], "Lacks one": [], "Has lapsed": [-1]}.items():
        mentor = enrol(name=name)
        certify(mentor)
        for days in expires_in:
            certify(mentor, type=secrecy, expires_in=days)

    assert find_stand_ins([oslo.pk], on=TODAY) == {oslo.pk: ["All"]}
