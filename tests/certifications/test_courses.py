"""A whole course: everybody who attended gets the certification, in one transaction."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from certifications.courses import Attendance, Course, SomeAreElsewhere, preview_course, record_course
from certifications.mentor_status import pause_mentor
from certifications.models import Certification, CertificationType
from mentors.models import Chapter, Mentor, StatusChange, User
from notifications.models import Notification
from tests.conftest import Certify, Enrol

pytestmark = pytest.mark.django_db
EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}


@pytest.fixture
def held(course: CertificationType, today: date) -> Course:
    CertificationType.objects.filter(pk=course.pk).update(validity_months=24)
    course.refresh_from_db()
    return Course(type=course, issued_on=today, number="K-7")


def names(mentors: Any) -> list[str]:
    return [mentor.name for mentor in mentors]


def test_a_course_that_nobody_attended_is_refused(held: Course, kari: User, now: datetime) -> None:
    with pytest.raises(ValidationError, match="Choose at least one"):
        record_course(held, mentor_ids=[], now=now, actor=kari)


def test_everybody_who_attended_gets_it_for_as_long_as_the_type_says(
    held: Course, enrol: Enrol, kari: User, today: date, now: datetime
) -> None:
    attendees = [enrol(), enrol()]

    attendance = record_course(held, mentor_ids=[mentor.pk for mentor in attendees], now=now, actor=kari)

    rows = Certification.objects.values_list("mentor", "number", "issued_on", "expires_on")
    assert set(rows) == {(mentor.pk, "K-7", today, date(2028, 11, 20)) for mentor in attendees}
    assert names(attendance.recorded) == ["Mentor 1", "Mentor 2"]


def test_a_paused_mentor_is_resumed_and_told_in_the_same_transaction(
    held: Course, enrol: Enrol, certify: Certify, kari: User, now: datetime
) -> None:
    mentor, other = enrol(**EXPIRED), enrol()
    certify(mentor, expires_in=-5)

    attendance = record_course(held, mentor_ids=[mentor.pk, other.pk], now=now, actor=kari)

    assert attendance.resumed == {mentor.pk}
    change = StatusChange.objects.get()
    assert (change.mentor_id, change.to_status, change.actor) == (mentor.pk, "active", kari)
    assert Notification.objects.filter(about=mentor, kind="resume").exists()


def test_whoever_has_it_already_is_reported_and_left_unchanged(
    held: Course, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
) -> None:
    has, new = enrol(), enrol()
    certify(has, number="K-7", issued_on=today, expires_in=30)

    attendance = record_course(held, mentor_ids=[has.pk, new.pk], now=now, actor=kari)

    assert (names(attendance.recorded), names(attendance.unchanged)) == (["Mentor 2"], ["Mentor 1"])
    assert Certification.objects.get(mentor=has).expires_on == today + timedelta(days=30)


def test_recording_it_again_changes_nothing(held: Course, enrol: Enrol, kari: User, now: datetime) -> None:
    ids = [enrol().pk, enrol().pk]
    record_course(held, mentor_ids=ids, now=now, actor=kari)

    again = record_course(held, mentor_ids=ids, now=now, actor=kari)

    assert (len(again.recorded), len(again.unchanged)) == (0, 2)
    assert Certification.objects.count() == 2


def test_the_preview_says_what_the_act_does_and_writes_nothing(
    held: Course, enrol: Enrol, certify: Certify, secrecy: CertificationType, kari: User, today: date, now: datetime
) -> None:
    renewed, lapsed_elsewhere, paused_by_hand = enrol(**EXPIRED), enrol(**EXPIRED), enrol()
    pause_mentor(paused_by_hand, reason="Away", actor=kari, now=now)
    for mentor in (renewed, lapsed_elsewhere, paused_by_hand):
        certify(mentor, expires_in=-5)
    certify(lapsed_elsewhere, type=secrecy, expires_in=-5)
    ids = [renewed.pk, lapsed_elsewhere.pk, paused_by_hand.pk]
    before = Certification.objects.count()

    preview = preview_course(held, mentor_ids=ids, now=now)
    unwritten = Certification.objects.count()
    done = record_course(held, mentor_ids=ids, now=now, actor=kari)

    assert unwritten == before
    assert preview.resumed == done.resumed == {renewed.pk}
    assert set(preview.recorded) == set(done.recorded)


@pytest.mark.parametrize("offset", [-800, 5])
def test_a_course_that_does_not_cover_today_resumes_nobody(
    held: Course, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime, offset: int
) -> None:
    mentor = enrol(**EXPIRED)
    certify(mentor, expires_in=-5)
    other_day = Course(type=held.type, issued_on=today + timedelta(days=offset))

    preview = preview_course(other_day, mentor_ids=[mentor.pk], now=now)
    done = record_course(other_day, mentor_ids=[mentor.pk], now=now, actor=kari)

    assert preview.resumed == done.resumed == frozenset()


def test_a_mentor_of_another_organisation_is_refused_for_all(
    held: Course, enrol: Enrol, elsewhere: Chapter, kari: User, now: datetime
) -> None:
    foreign = Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="F1", name="Foreign")

    with pytest.raises(SomeAreElsewhere):
        record_course(held, mentor_ids=[enrol().pk, foreign.pk], now=now, actor=kari)

    assert not Certification.objects.exists()


def test_nothing_is_recorded_if_one_cannot_be(
    held: Course, enrol: Enrol, kari: User, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [enrol().pk, enrol().pk]

    def break_it(**_options: Any) -> set[int]:
        raise IntegrityError

    monkeypatch.setattr("certifications.courses.resume_renewed", break_it)

    with pytest.raises(IntegrityError):
        record_course(held, mentor_ids=ids, now=now, actor=kari)

    assert not Certification.objects.exists()


def test_an_expiry_before_the_issue_is_refused(held: Course, enrol: Enrol, today: date, now: datetime) -> None:
    wrong = Course(type=held.type, issued_on=today, expires_on=today - timedelta(days=1))

    with pytest.raises(ValidationError, match="before it is issued"):
        preview_course(wrong, mentor_ids=[enrol().pk], now=now)


def test_it_asks_the_database_as_often_for_many_as_for_few(
    held: Course, enrol: Enrol, certify: Certify, kari: User, now: datetime
) -> None:
    def record(count: int) -> int:
        mentors = [enrol(ref=f"{count}-{number}", **EXPIRED) for number in range(count)]
        for mentor in mentors:
            certify(mentor, expires_in=-5)
        with CaptureQueriesContext(connection) as asked:
            attendance: Attendance = record_course(held, mentor_ids=[m.pk for m in mentors], now=now, actor=kari)
        assert len(attendance.resumed) == count
        return len(asked)

    record(1)  # which fills what a process remembers
    few = record(10)

    assert record(40) <= few
