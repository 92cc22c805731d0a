"""Delivering messages: outside every transaction, and checked once more."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certifications.recheck import recheck_messages
from certifications.record_text import OUTDATED
from certifications.recording import change_certification, renew_certification
from mentors.models import Mentor, Organisation, User
from notifications.delivery import deliver_batch
from notifications.models import Notification
from tests.conftest import Certify, Enrol
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


class TestDelivery:
    def test_each_message_leaves_once(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=-1)
        run_night(always_open, today)

        deliver(now)
        deliver(now)

        assert sorted(to for message in mail.outbox for to in message.to) == ["kari@example.org", "liv@example.org"]
        assert set(Notification.objects.exclude(channel="inbox").values_list("status", flat=True)) == {"sent"}

    def test_it_says_the_same_as_text_and_as_html_in_the_readers_language(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, post: MailServer, today: date, now: datetime
    ) -> None:
        Mentor.objects.update(language="nn")
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver(now)

        (message,) = post.received
        text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert "28. november 2026" in text.get_content()
        assert "28. november 2026" in html.get_content()
        assert 'lang="nn"' in html.get_content()
        assert message["Content-Language"] == "nn"

    def test_its_days_are_those_that_are_left_when_it_leaves(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        Mentor.objects.update(language="en")
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver(now + timedelta(days=2))

        assert "in 5 days" in mail.outbox[0].subject

    def test_it_carries_a_message_id_of_its_own_and_says_that_nobody_wrote_it(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        first, second = write(), write()

        deliver(now)

        first.refresh_from_db()
        second.refresh_from_db()
        assert [message["Message-ID"] for message in post.received] == [first.message_id, second.message_id]
        assert first.message_id != second.message_id
        assert {message["Auto-Submitted"] for message in post.received} == {"auto-generated"}
        assert post.received[0]["From"] == "HLF <nattevakt@localhost>"

    def test_a_digest_can_be_unsubscribed_from_and_a_service_message_cannot(
        self,
        always_open: Organisation,
        mentor: Mentor,
        certify: Certify,
        kari: User,
        post: MailServer,
        today: date,
        now: datetime,
        settings: Any,
    ) -> None:
        settings.PUBLIC_URL = "https://nattevakt.example"
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver(now)

        (digest,), (reminder,) = post.to("kari@example.org"), post.to("liv@example.org")
        assert digest["List-Unsubscribe"].strip().startswith("<https://nattevakt.example/")
        assert digest["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert reminder["List-Unsubscribe"] is None

    def test_a_batch_shares_one_connection(self, write: Write, post: MailServer, now: datetime) -> None:
        for _ in range(5):
            write()

        deliver(now)

        assert (len(post.received), post.connections) == (5, 1)

    def test_a_batch_costs_two_statements_a_message_and_a_few_more(self, write: Write, now: datetime) -> None:
        def count(messages: int) -> int:
            for _ in range(messages):
                write()
            with CaptureQueriesContext(connection) as queries:
                deliver_batch(now=now, recheck_messages=recheck_messages)
            return len(queries)

        count(1)  # which fills what a process remembers
        few, many = count(10), count(40)

        assert many - few == 2 * 30
        assert few <= 2 * 10 + 14


class TestTruth:
    """Rule 8: once more before a message leaves."""

    def test_a_reminder_of_what_was_renewed_is_cancelled_with_its_reason(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        certification = certify(mentor, expires_in=7)
        run_night(always_open, today)
        renew_certification(certification, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        deliver(now)

        assert not any(mentor.email in message.to for message in mail.outbox)
        assert fate(Notification.objects.get(recipient_mentor=mentor)) == ("cancelled", OUTDATED().in_english())

    def test_a_pause_that_is_over_is_not_told_to_the_mentor(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        Mentor.objects.update(language="en")
        expired = certify(mentor, expires_in=-1)
        run_night(always_open, today)
        change_certification(expired, expires_on=today + timedelta(days=90), now=now)

        deliver(now)

        (message,) = [message for message in mail.outbox if message.to == [mentor.email]]
        assert "active" in message.subject
        assert "paused" not in message.subject

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
        assert "Tegnspråk" in str(message.body)
        assert "Kurs" not in str(message.body)

    def test_a_summary_leaves_out_what_is_in_order_again(
        self, always_open: Organisation, enrol: Enrol, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        renewed, late = enrol(name="Anna Berg", email=""), enrol(name="Odd Lie", email="")
        certification = certify(renewed, expires_in=7)
        certify(late, expires_in=7)
        run_night(always_open, today)
        change_certification(certification, expires_on=today + timedelta(days=90), now=now)

        deliver(now)

        (digest,) = mail.outbox
        assert "Odd Lie" in str(digest.body)
        assert "Anna Berg" not in str(digest.body)

    def test_a_summary_of_which_nothing_is_left_is_cancelled(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, kari: User, today: date, now: datetime
    ) -> None:
        certification = certify(mentor, expires_in=7)
        run_night(always_open, today)
        renew_certification(certification, issued_on=today, expires_on=today + timedelta(days=730), now=now)

        deliver(now)

        assert mail.outbox == []
        assert fate(Notification.objects.get(kind="digest")) == ("cancelled", OUTDATED().in_english())
