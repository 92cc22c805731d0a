"""When a certification lapses, and the first day on which a mentor is not covered (docs/rules.md, rule 1)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from certifications.models import Certification, CertificationType
from mentors.models import Mentor, Organisation
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.rules import configure, in_days


def lapses_on_by_the_database() -> date | None:
    """Return rule 1 of the one certification there is."""
    certification: Any = Certification.objects.with_lapses_on().get()
    lapses_on: date | None = certification.lapses_on
    return lapses_on


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "grace_days", "lapses_in"),
    [(True, 0, 11), (False, 0, 10), (True, 5, 16), (False, 5, 15)],
)
def test_a_certification_lapses_the_day_after_its_expiry_day_and_its_grace(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    grace_days: int,
    lapses_in: int,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    CertificationType.objects.update(grace_days=grace_days)
    certify(mentor, expires_in=10)

    lapses_on = lapses_on_by_the_database()

    mentor.refresh_from_db()
    assert lapses_on == in_days(lapses_in)
    assert mentor.lapses_on == in_days(lapses_in)


def test_an_open_ended_certification_never_lapses(mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=None)

    lapses_on = lapses_on_by_the_database()

    mentor.refresh_from_db()
    assert lapses_on is None
    assert mentor.lapses_on is None


def test_a_certification_to_the_end_of_time_stays_a_date_that_python_can_read(mentor: Mentor, certify: Certify) -> None:
    CertificationType.objects.update(grace_days=32767)

    certify(mentor, expires_on=date.max)

    mentor.refresh_from_db()
    assert mentor.lapses_on == date.max
    assert lapses_on_by_the_database() == date.max


# Rule 1, for the whole mentor: `Mentor.lapses_on`, kept by triggers whatever changes.


def recomputed(mentor: Mentor) -> date | None:
    """Compute `Mentor.lapses_on` from the rows, in Python."""
    organisation = Organisation.objects.get(pk=mentor.organisation_id)
    one_day = 1 if organisation.valid_through_expiry_day else 0
    latest: dict[int, date] = {}
    for held in Certification.objects.filter(mentor=mentor).select_related("type"):
        if held.type.required and held.revoked_at is None:
            lapses_on = date.max
            if held.expires_on:
                lapses_on = held.expires_on + timedelta(days=one_day + held.type.grace_days)
            latest[held.type_id] = max(latest.get(held.type_id, lapses_on), lapses_on)
    first = min(latest.values(), default=date.max)
    return None if first == date.max else first


def add_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.create(mentor=mentor, type=course, number="new", issued_on=TODAY, expires_on=in_days(900))


def add_many(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.bulk_create(
        Certification(mentor=mentor, type=type, number="new", issued_on=TODAY, expires_on=in_days(900))
        for type in (course, secrecy)
    )


def prolong_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    certification = Certification.objects.get(mentor=mentor, type=course)
    certification.expires_on = in_days(500)
    certification.save()


def prolong_all(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.update(expires_on=in_days(300))


def open_by_sql(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE certifications_certification SET expires_on = NULL WHERE type_id = %s", [course.pk])


def revoke(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.filter(type=course).update(revoked_at=NOW)


def delete_one(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.get(mentor=mentor, type=course).delete()


def delete_all_by_sql(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM certifications_certification")


def hand_over(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    other = Mentor.objects.exclude(pk=mentor.pk).get()
    Certification.objects.filter(mentor=mentor, type=course).update(mentor=other)


def change_its_type(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Certification.objects.filter(mentor=mentor, type=course).update(type=secrecy)


def no_longer_require(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    course.required = False
    course.save()


def require_the_optional(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    CertificationType.objects.update(required=True)


def give_grace(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    CertificationType.objects.update(grace_days=30)


def expire_on_the_day(mentor: Mentor, course: CertificationType, secrecy: CertificationType) -> None:
    Organisation.objects.update(valid_through_expiry_day=False)


@pytest.mark.parametrize(
    "change",
    [
        add_one,
        add_many,
        prolong_one,
        prolong_all,
        open_by_sql,
        revoke,
        delete_one,
        delete_all_by_sql,
        hand_over,
        change_its_type,
        no_longer_require,
        require_the_optional,
        give_grace,
        expire_on_the_day,
    ],
)
def test_the_first_day_not_covered_follows_every_change(
    change: Any,
    enrol: Enrol,
    certify: Certify,
    course: CertificationType,
    secrecy: CertificationType,
    sign_language: CertificationType,
) -> None:
    mentor, other = enrol(), enrol()
    certify(mentor, expires_in=10)
    certify(mentor, type=secrecy, expires_in=20)
    certify(mentor, type=sign_language, expires_in=5)
    certify(other, expires_in=200)
    certify(other, type=sign_language, expires_in=None)

    change(mentor, course, secrecy)

    for each in (mentor, other):
        each.refresh_from_db()
        assert each.lapses_on == recomputed(each)
    assert {mentor.lapses_on, other.lapses_on} != {in_days(11), in_days(201)}


def test_the_first_day_not_covered_leaves_no_trace_in_the_history(mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=10)

    events: Any = Mentor._meta.get_field("events").related_model

    assert events.objects.filter(pgh_obj=mentor).count() == 1
