"""What people record, and what follows at once: rules 5, 9 and 10."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import transaction

from certifications.mentor_status import LapsedTypesRemain, StatusForbids, end_mentor, pause_mentor, reactivate_mentor
from certifications.models import Certification, CertificationType, Exemption
from certifications.recording import (
    AlreadyRecorded,
    change_certification,
    grant_exemption,
    record_certification,
    remove_certification,
    renew_certification,
    revoke_certification,
)
from mentors.conflicts import ChangedMeanwhile
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.models import Notification
from tests.conftest import Certify, Enrol
from tests.support.nights import run_night
from tests.support.rules import paused_by_the_night

pytestmark = pytest.mark.django_db
EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}


class TestRenewal:
    """Rule 5: also at once, in the same transaction."""

    def test_it_resumes_a_mentor_whom_the_night_has_paused(
        self, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        expired = certify(mentor, expires_in=-1)

        renew_certification(expired, issued_on=today, expires_on=today + timedelta(days=730), now=now, actor=kari)

        mentor.refresh_from_db()
        change = StatusChange.objects.get(mentor=mentor)
        assert mentor.status == Mentor.Status.ACTIVE
        assert mentor.pause_cause is None
        assert (change.from_status, change.to_status, change.actor) == ("paused", "active", kari)
        assert Notification.objects.filter(kind="resume", recipient_user=kari, channel="inbox").count() == 1

    def test_it_keeps_the_old_certification_as_history(
        self, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        old = certify(mentor, expires_in=-1)

        renew_certification(old, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        assert mentor.certifications.count() == 2

    def test_a_later_expiry_resumes_too(self, enrol: Enrol, certify: Certify, today: date, now: datetime) -> None:
        mentor = enrol(**EXPIRED)
        expired = certify(mentor, expires_in=-1)

        change_certification(expired, expires_on=today + timedelta(days=30), now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE

    def test_it_does_not_resume_while_another_type_has_lapsed(
        self, enrol: Enrol, certify: Certify, secrecy: CertificationType, today: date, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        expired = certify(mentor, expires_in=-1)
        certify(mentor, type=secrecy, expires_in=-1)

        renew_certification(expired, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED

    def test_it_leaves_a_mentor_alone_who_was_paused_by_hand(
        self, enrol: Enrol, certify: Certify, today: date, now: datetime
    ) -> None:
        mentor = enrol(status="paused", pause_cause="manual")
        expired = certify(mentor, expires_in=-1)

        renew_certification(expired, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED
        assert not StatusChange.objects.exists()

    def test_it_does_not_resume_where_the_organisation_has_switched_that_off(
        self, hlf: Organisation, enrol: Enrol, certify: Certify, today: date, now: datetime
    ) -> None:
        Organisation.objects.update(auto_resume=False)
        mentor = enrol(**EXPIRED)
        expired = certify(mentor, expires_in=-1)

        renew_certification(expired, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED


class TestRecording:
    @pytest.mark.parametrize(
        ("issued_on", "expires_on"),
        [("2026-01-31", "2026-02-27"), ("2024-01-31", "2024-02-28"), ("2026-03-01", "2026-03-31")],
    )
    def test_it_computes_the_expiry_from_the_types_validity(
        self, mentor: Mentor, course: CertificationType, now: datetime, issued_on: str, expires_on: str
    ) -> None:
        course.validity_months = 1
        course.save()

        certification = record_certification(
            mentor=mentor, type=course, issued_on=date.fromisoformat(issued_on), now=now
        )

        assert certification.expires_on == date.fromisoformat(expires_on)

    def test_it_is_open_ended_where_the_type_says_nothing(
        self, mentor: Mentor, course: CertificationType, today: date, now: datetime
    ) -> None:
        certification = record_certification(mentor=mentor, type=course, issued_on=today, now=now)

        assert certification.expires_on is None

    def test_it_refuses_the_same_certification_twice(
        self, mentor: Mentor, course: CertificationType, today: date, now: datetime
    ) -> None:
        record_certification(mentor=mentor, type=course, number="1", issued_on=today, now=now)

        with pytest.raises(AlreadyRecorded), transaction.atomic():
            record_certification(mentor=mentor, type=course, number="1", issued_on=today, now=now)

    def test_it_refuses_a_type_of_another_organisation(self, mentor: Mentor, today: date, now: datetime) -> None:
        other = Organisation.objects.create(slug="other", name="Other")
        foreign = CertificationType.objects.create(organisation=other, code="x", name="X")

        with pytest.raises(ValidationError, match="another organisation"):
            record_certification(mentor=mentor, type=foreign, issued_on=today, now=now)


class TestRevocation:
    """Rule 9."""

    def test_it_pauses_at_once_when_a_required_type_is_left_uncovered(
        self, mentor: Mentor, certify: Certify, kari: User, now: datetime
    ) -> None:
        certification = certify(mentor)

        revoke_certification(certification, reason="Forged", actor=kari, now=now)

        mentor.refresh_from_db()
        assert (mentor.status, mentor.pause_cause) == ("paused", "certification_revoked")
        assert StatusChange.objects.get(mentor=mentor).reason == verbatim("Forged")
        assert Notification.objects.filter(kind="pause", recipient_user=kari).exists()

    def test_it_pauses_nobody_whom_another_certification_covers(
        self, mentor: Mentor, certify: Certify, kari: User, now: datetime
    ) -> None:
        certification = certify(mentor)
        certify(mentor)

        revoke_certification(certification, reason="Forged", actor=kari, now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE

    def test_it_pauses_nobody_for_an_optional_type(
        self, mentor: Mentor, certify: Certify, sign_language: CertificationType, kari: User, now: datetime
    ) -> None:
        certification = certify(mentor, type=sign_language)

        revoke_certification(certification, reason="Forged", actor=kari, now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE

    def test_only_a_person_lifts_it_even_when_the_night_had_paused_before(
        self, enrol: Enrol, certify: Certify, kari: User, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        certification = certify(mentor, expires_in=-1)

        revoke_certification(certification, reason="Forged", actor=kari, now=now)

        mentor.refresh_from_db()
        assert mentor.pause_cause == Mentor.PauseCause.CERTIFICATION_REVOKED

    def test_a_person_lifts_it(self, mentor: Mentor, certify: Certify, kari: User, now: datetime) -> None:
        revoke_certification(certify(mentor), reason="Forged", actor=kari, now=now)

        reactivate_mentor(mentor, reason="A mistake", actor=kari, now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE


class TestReactivation:
    """Rule 10."""

    def test_it_is_refused_while_a_type_has_lapsed(
        self, enrol: Enrol, certify: Certify, kari: User, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-1)

        with pytest.raises(LapsedTypesRemain, match="likepersonkurs"):
            reactivate_mentor(mentor, reason="Please", actor=kari, now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED

    def test_it_carries_an_exemption(
        self, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-1)

        reactivate_mentor(
            mentor, reason="Course is booked", actor=kari, exempt_until=today + timedelta(days=30), now=now
        )

        mentor.refresh_from_db()
        exemption = Exemption.objects.get()
        assert mentor.status == Mentor.Status.ACTIVE
        assert (exemption.from_on, exemption.approved_by, exemption.reason) == (today, kari, "Course is booked")

    def test_an_exemption_by_itself_resumes_too(
        self, enrol: Enrol, certify: Certify, course: CertificationType, kari: User, today: date, now: datetime
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-1)

        grant_exemption(
            mentor=mentor, type=course, from_on=today, until_on=today, reason="Ill", approved_by=kari, now=now
        )

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE


class TestByHand:
    def test_a_person_pauses_an_active_mentor(self, mentor: Mentor, kari: User, now: datetime) -> None:
        pause_mentor(mentor, reason="On leave", actor=kari, now=now)

        mentor.refresh_from_db()
        assert (mentor.status, mentor.pause_cause, str(mentor.pause_reason)) == ("paused", "manual", "On leave")

    def test_a_pause_by_a_person_takes_over_from_the_nights_and_no_renewal_lifts_it(
        self, hlf: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        expired = paused_by_the_night(hlf, mentor, certify)

        pause_mentor(mentor, reason="On leave", actor=kari, now=now)
        renew_certification(expired, issued_on=today, now=now)
        run_night(hlf, today)

        mentor.refresh_from_db()
        assert (mentor.status, mentor.pause_cause, str(mentor.pause_reason)) == ("paused", "manual", "On leave")
        assert Notification.objects.filter(kind="pause", recipient_user=kari, channel="inbox").count() == 2

    @pytest.mark.parametrize("cause", ["manual", "certification_revoked"])
    def test_a_pause_that_only_a_person_lifts_is_not_made_twice(
        self, enrol: Enrol, kari: User, now: datetime, cause: str
    ) -> None:
        mentor = enrol(status="paused", pause_cause=cause)

        with pytest.raises(StatusForbids, match="until a person resumes"):
            pause_mentor(mentor, reason="On leave", actor=kari, now=now)

    def test_every_change_of_a_pauses_cause_is_logged_and_in_the_history(
        self, hlf: Organisation, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        mentors = [enrol(), enrol()]
        expired = [certify(mentor, expires_in=-1) for mentor in mentors]
        run_night(hlf, today)

        pause_mentor(mentors[0], reason="On leave", actor=kari, now=now)
        revoke_certification(expired[1], reason="Forged", actor=kari, now=now)

        causes = [["certification_expired", "manual"], ["certification_expired", "certification_revoked"]]
        logged = [list(mentor.status_changes.order_by("pk").values_list("cause", flat=True)) for mentor in mentors]
        history = apps.get_model("mentors", "MentorEvent").objects.filter(status="paused").order_by("pgh_id")
        kept = [list(history.filter(pgh_obj=mentor).values_list("pause_cause", flat=True)) for mentor in mentors]
        assert logged == kept == causes

    def test_a_person_ends_a_mentor_once(self, mentor: Mentor, kari: User, now: datetime) -> None:
        end_mentor(mentor, reason="Moved", actor=kari, now=now)

        with pytest.raises(StatusForbids):
            end_mentor(mentor, reason="Moved", actor=kari, now=now)

        assert StatusChange.objects.filter(mentor=mentor, to_status="ended").count() == 1

    def test_what_somebody_else_has_removed_meanwhile_is_neither_changed_nor_revoked(
        self, mentor: Mentor, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        certification = certify(mentor)
        remove_certification(Certification.objects.get(pk=certification.pk))

        with pytest.raises(ChangedMeanwhile):
            change_certification(certification, expires_on=today, now=now)
        with pytest.raises(ChangedMeanwhile):
            revoke_certification(certification, reason="wrong", actor=kari, now=now)

        assert not Certification.objects.exists()

    def test_a_removed_certification_leaves_its_history(self, mentor: Mentor, certify: Certify) -> None:
        certification = certify(mentor)
        events = type(certification).events.rel.related_model  # type: ignore[attr-defined]

        remove_certification(certification)

        assert list(events.objects.order_by("pgh_id").values_list("pgh_label", flat=True)) == ["insert", "delete"]
