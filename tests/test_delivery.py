"""Delivering messages: outside every transaction, checked once more, tried again, given up with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend

from certifications.recording import change_certification, renew_certification
from certifications.truth import find_outdated
from mentors.models import Mentor, Organisation, User
from notifications.delivery import LEASE, deliver_all, deliver_batch, free_stuck
from notifications.models import Notification
from tests.conftest import TODAY, Certify, Enrol
from tests.nights import noon, run_night

pytestmark = pytest.mark.django_db


@pytest.fixture
def always_open(hlf: Organisation) -> Organisation:
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()
    return hlf


@pytest.fixture
def now() -> datetime:
    """An hour after the night, which these tests run at noon."""
    return noon(TODAY) + timedelta(hours=1)


def deliver(now: datetime) -> None:
    deliver_all(now=lambda: now, find_outdated=find_outdated)


def statuses() -> dict[str, str]:
    return dict(Notification.objects.exclude(channel="inbox").values_list("dedupe_key", "status"))


class TestDelivery:
    def test_each_message_leaves_once(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=-1)
        run_night(always_open, today)

        deliver(now)
        deliver(now)

        assert sorted(to for message in mail.outbox for to in message.to) == ["kari@example.org", "liv@example.org"]
        assert set(statuses().values()) == {"sent"}

    def test_it_carries_its_message_id(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver(now)

        notification = Notification.objects.get(recipient_mentor=mentor)
        assert mail.outbox[-1].extra_headers["Message-ID"] == notification.message_id

    def test_it_names_what_is_due_in_plain_words(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        Mentor.objects.update(language="en")
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver(now)

        assert "Liv Moe: likepersonkurs expires on" in str(mail.outbox[0].body)

    def test_a_digest_holds_all_that_a_coordinator_was_told(
        self, always_open: Organisation, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        for _ in range(3):
            certify(enrol(email=""), expires_in=-1)
        run_night(always_open, today)

        deliver(now)

        (digest,) = mail.outbox
        assert digest.to == ["kari@example.org"]
        assert len(str(digest.body).splitlines()) == 3


class TestTruth:
    """Rule 8: once more before a message leaves."""

    def test_a_reminder_of_what_was_renewed_is_cancelled_with_its_reason(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        certification = certify(mentor, expires_in=7)
        run_night(always_open, today)
        renew_certification(certification, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        deliver(now)

        notification = Notification.objects.get(recipient_mentor=mentor)
        assert not any(mentor.email in message.to for message in mail.outbox)
        assert (notification.status, notification.error) == (
            "cancelled", "No longer true when it was about to leave.",
        )  # fmt: skip

    def test_a_pause_that_is_over_is_not_told_to_the_mentor(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        expired = certify(mentor, expires_in=-1)
        run_night(always_open, today)
        change_certification(expired, expires_on=today + timedelta(days=90), now=now)

        deliver(now)

        assert [message.body for message in mail.outbox] == ["Liv Moe is active again."]

    def test_of_two_reminders_in_one_message_the_true_one_is_said(
        self,
        always_open: Organisation,
        mentor: Mentor,
        certify: Certify,
        sign_language: Any,
        today: date,
        now: datetime,
    ) -> None:
        renewed = certify(mentor, expires_in=7)
        certify(mentor, type=sign_language, expires_in=7)
        run_night(always_open, today)
        renew_certification(renewed, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        deliver(now)

        (message,) = mail.outbox
        assert "tegnsprak" in str(message.body)
        assert "likepersonkurs" not in str(message.body)


class RefusingBackend(BaseEmailBackend):
    """What Django gives a project to plug in; the faults file has a server that refuses for real."""

    def send_messages(self, email_messages: Any) -> int:
        raise ConnectionRefusedError("liv@example.org is not wanted here")


class TestFailure:
    @pytest.fixture
    def refused(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "tests.test_delivery.RefusingBackend"
        settings.DELIVERY_MAX_ATTEMPTS = 2

    @pytest.fixture
    def notification(self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date) -> Notification:
        certify(mentor, expires_in=-1)
        run_night(always_open, today)
        return Notification.objects.get(recipient_mentor=mentor)

    def test_it_is_tried_again_later(self, refused: None, notification: Notification, now: datetime) -> None:
        deliver(now)

        notification.refresh_from_db()
        assert (notification.status, notification.attempts) == ("queued", 1)
        assert notification.next_attempt_at == now + timedelta(seconds=60)

    def test_it_fails_for_good_after_its_attempts_with_a_reason_that_names_nobody(
        self, refused: None, notification: Notification, now: datetime
    ) -> None:
        deliver(now)
        deliver(now + timedelta(minutes=5))

        notification.refresh_from_db()
        assert (notification.status, notification.error) == ("failed", "ConnectionRefusedError")

    def test_it_undoes_no_pause(self, refused: None, notification: Notification, mentor: Mentor, now: datetime) -> None:
        deliver(now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED

    def test_a_recipient_without_an_address_fails_at_once(
        self, notification: Notification, mentor: Mentor, now: datetime
    ) -> None:
        Mentor.objects.update(email="")

        deliver(now)

        notification.refresh_from_db()
        assert (notification.status, notification.error) == ("failed", "The recipient has no e-mail address.")

    def test_what_a_dead_worker_left_is_queued_again_when_its_lease_is_over(
        self, notification: Notification, now: datetime
    ) -> None:
        Notification.objects.filter(pk=notification.pk).update(status="sending", next_attempt_at=now + LEASE)

        too_early = free_stuck(now=now)
        freed = free_stuck(now=now + LEASE)

        assert (too_early, freed) == (0, 1)
        assert deliver_batch(now=now + LEASE, find_outdated=find_outdated) > 0


class TestSendingHours:
    """Rule 12: computed at night, delivered when people are awake."""

    def test_nothing_leaves_at_night_and_all_of_it_in_the_morning(
        self, hlf: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date
    ) -> None:
        half_past_midnight = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
        certify(mentor, expires_in=-1)
        run_night(hlf, today, now=half_past_midnight)

        deliver(half_past_midnight)
        at_night = len(mail.outbox)
        deliver(datetime(2026, 11, 21, 7, 0, tzinfo=UTC))

        assert (at_night, len(mail.outbox)) == (0, 2)

    @pytest.mark.parametrize(
        ("now", "leaves_at"),
        [
            ("2026-11-21T06:59:59+00:00", "2026-11-21T07:00:00+00:00"),  # 07:59 in Oslo
            ("2026-11-21T07:00:00+00:00", "2026-11-21T07:00:00+00:00"),
            ("2026-11-21T19:00:00+00:00", "2026-11-22T07:00:00+00:00"),  # 20:00 in Oslo: closed
            ("2026-03-28T23:30:00+00:00", "2026-03-29T06:00:00+00:00"),  # the night summer time begins
            ("2026-10-24T22:30:00+00:00", "2026-10-25T07:00:00+00:00"),  # the night it ends
        ],
    )
    def test_they_are_local_across_clock_changes(self, hlf: Organisation, now: str, leaves_at: str) -> None:
        assert hlf.next_sending_time(datetime.fromisoformat(now)) == datetime.fromisoformat(leaves_at)

    def test_they_may_span_midnight(self, hlf: Organisation) -> None:
        hlf.sending_from, hlf.sending_until = time(22), time(6)

        assert hlf.next_sending_time(datetime(2026, 11, 21, 1, tzinfo=UTC)) == datetime(2026, 11, 21, 1, tzinfo=UTC)
        assert hlf.next_sending_time(datetime(2026, 11, 21, 12, tzinfo=UTC)) == datetime(2026, 11, 21, 21, tzinfo=UTC)


class TestConnection:
    def test_a_batch_shares_one(
        self, always_open: Organisation, enrol: Enrol, certify: Certify, settings: Any, today: date, now: datetime
    ) -> None:
        settings.EMAIL_BACKEND = "tests.test_delivery.CountingBackend"
        CountingBackend.opened = 0
        for _ in range(3):
            certify(enrol(), expires_in=7)
        run_night(always_open, today)

        deliver(now)

        assert CountingBackend.opened == 1

    def test_a_message_that_kills_its_worker_every_time_is_given_up(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=7)
        run_night(always_open, today)
        Notification.objects.filter(recipient_mentor=mentor).update(status="sending", attempts=5, next_attempt_at=now)

        free_stuck(now=now)

        notification = Notification.objects.get(recipient_mentor=mentor)
        assert (notification.status, notification.error) == ("failed", "Its worker never came back.")


class CountingBackend(BaseEmailBackend):
    """Counts its connections as Django's SMTP backend makes them: one, if it is not open yet."""

    opened = 0
    is_open = False

    def open(self) -> bool:
        if self.is_open:
            return False
        type(self).opened += 1
        self.is_open = True
        return True

    def send_messages(self, email_messages: Any) -> int:
        self.open()
        return len(email_messages)
