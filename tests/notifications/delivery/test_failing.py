"""What cannot be delivered: tried again, given up with a reason, and sent anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from certifications.recheck import recheck_messages
from mentors.models import Mentor, Organisation, User
from notifications.channels import EMAIL
from notifications.claims import LEASE, free_stuck
from notifications.delivery import LONGEST_PAUSE, deliver_batch, send_again
from notifications.models import BadAddress, Notification
from tests.conftest import Certify
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import CLOSE, HANG, MailServer, always
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


class TestFailure:
    @pytest.mark.parametrize("answer", ["451 try later", "452 4.2.2 mailbox full", "450 4.7.1 greylisted"])
    def test_what_the_server_puts_off_is_tried_again_later(
        self, write: Write, post: MailServer, now: datetime, answer: str
    ) -> None:
        notification = write()
        post.after_data = always(answer)

        deliver(now)

        assert fate(notification) == ("queued", answer)
        assert notification.attempts == 1
        assert timedelta(seconds=45) <= notification.next_attempt_at - now <= timedelta(seconds=75)  # type: ignore[operator]

    def test_each_attempt_waits_twice_as_long_and_never_in_step(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        post.after_data = always("451 later")
        notifications = [write() for _ in range(5)]
        Notification.objects.update(attempts=3)

        deliver(now)

        pauses = {fate(row) and row.next_attempt_at - now for row in notifications}  # type: ignore[operator]
        assert len(pauses) == 5
        assert timedelta(minutes=6) <= min(pauses) < max(pauses) <= timedelta(minutes=10)

    def test_it_waits_some_hours_at_most(self, write: Write, post: MailServer, now: datetime) -> None:
        notification = write()
        post.after_data = always("451 later")
        Notification.objects.update(attempts=10)

        deliver(now)

        fate(notification)
        assert notification.next_attempt_at - now <= LONGEST_PAUSE * 1.25  # type: ignore[operator]

    def test_it_ends_among_the_dead_letters_after_its_attempts(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write()
        post.after_data = always("451 later")
        Notification.objects.update(attempts=11)

        deliver(now)

        assert fate(notification) == ("failed", "Given up after 12 attempts: 451 later")

    @pytest.mark.parametrize("answer", ["552 5.2.2 mailbox full", "552 too large"])
    def test_what_the_server_refuses_for_good_is_not_tried_again(
        self, write: Write, post: MailServer, now: datetime, answer: str
    ) -> None:
        notification = write()
        post.after_data = always(answer)

        deliver(now)

        assert fate(notification) == ("failed", answer)
        assert not BadAddress.objects.exists()

    def test_an_address_where_nobody_is_is_marked_and_its_reason_names_nobody(
        self, write: Write, post: MailServer, kari: User, now: datetime
    ) -> None:
        notification = write(email="liv@example.org")
        post.at_rcpt = lambda address: f"550 5.1.1 <{address}> is unknown here"

        deliver(now)

        assert fate(notification) == ("failed", "550 5.1.1 <…> is unknown here")
        assert BadAddress.objects.get().address == "liv@example.org"
        assert Notification.objects.filter(kind="bounced", recipient_user=kari).exists()

    def test_nothing_is_sent_to_an_address_that_is_marked(self, write: Write, post: MailServer, now: datetime) -> None:
        BadAddress.objects.create(channel=EMAIL, address="liv@example.org", reason="550", at=now)
        notification = write(email="Liv@example.org")

        deliver(now)

        assert fate(notification)[0] == "failed"
        assert post.connections == 0

    def test_who_gets_an_address_that_is_marked_already_is_known_to_her_coordinators_once(
        self, write: Write, kari: User, now: datetime
    ) -> None:
        BadAddress.objects.create(channel=EMAIL, address="liv@example.org", reason="550", at=now)
        notification = write(email="liv@example.org")
        deliver(now)
        send_again([notification], now=now)

        deliver(now)

        assert Notification.objects.filter(kind="bounced", recipient_user=kari, channel="inbox").count() == 1

    def test_a_recipient_without_an_address_fails_at_once(self, write: Write, now: datetime) -> None:
        notification = write(email="")

        deliver(now)

        assert fate(notification) == ("failed", "The recipient has no address for the channel email.")

    @pytest.mark.parametrize("answer", [HANG, CLOSE, "421 too many"])
    def test_a_server_that_hangs_or_hangs_up_costs_one_message_its_attempt_and_the_others_go_on(
        self, write: Write, post: MailServer, now: datetime, answer: str, settings: Any
    ) -> None:
        settings.EMAIL_TIMEOUT = 2 if answer == HANG else 30
        rows = [write() for _ in range(5)]
        third = rows[2].recipient_mentor.email  # type: ignore[union-attr]
        post.after_data = lambda address: answer if address == third else None

        deliver(now)

        assert [fate(row)[0] for row in rows] == ["sent", "sent", "queued", "sent", "sent"]
        assert post.connections == 2

    def test_a_server_that_always_hangs_is_given_up_for_the_batch(
        self, write: Write, post: MailServer, now: datetime, settings: Any
    ) -> None:
        settings.EMAIL_TIMEOUT = 1
        rows = [write() for _ in range(5)]
        post.after_data = always(HANG)

        deliver(now)

        assert {fate(row)[0] for row in rows} == {"queued"}
        assert len(post.offered) == 2

    def test_a_server_that_is_not_there_leaves_all_for_later(self, write: Write, now: datetime, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        rows = [write() for _ in range(3)]

        deliver(now)

        assert {fate(row) for row in rows} == {("queued", "ConnectionRefusedError")}

    def test_it_undoes_no_pause(
        self, always_open: Organisation, mentor: Mentor, certify: Certify, post: MailServer, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=-1)
        run_night(always_open, today)
        post.after_data = always("552 5.2.2 mailbox full")

        deliver(now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.PAUSED

    def test_an_answer_about_our_sender_is_no_reason_to_mark_the_recipient(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write()
        post.at_rcpt = always("550 5.1.8 sender address rejected: domain not found")

        deliver(now)

        assert fate(notification)[0] == "queued"
        assert not BadAddress.objects.exists()

    def test_an_address_that_cannot_be_written_is_refused_at_once(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write(email="liv moe@exa\nmple.org")

        deliver(now)

        assert fate(notification)[0] == "failed"
        assert notification.attempts == 1


class TestSendAgain:
    def test_a_dead_letter_goes_out_anew_as_the_same_message(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write()
        post.after_data = always("552 5.2.2 mailbox full")
        deliver(now)
        post.after_data = None

        count = send_again([notification], now=now)
        deliver(now)

        assert (count, fate(notification)[0], notification.attempts) == (1, "sent", 1)
        assert len(post.offered) == 2
        assert len(set(post.offered)) == 1

    def test_what_was_sent_or_waits_is_left_alone(self, write: Write, post: MailServer, now: datetime) -> None:
        sent = write()
        deliver(now)
        waiting = write()

        assert send_again([sent, waiting], now=now) == 0

    def test_it_keeps_the_sending_hours(self, hlf: Organisation, write: Write, now: datetime) -> None:
        notification = write()
        Notification.objects.update(status="failed", next_attempt_at=None)
        Organisation.objects.update(sending_from=time(8), sending_until=time(9))
        notification.organisation.refresh_from_db()

        send_again([notification], now=now)

        fate(notification)
        assert notification.next_attempt_at == datetime(2026, 11, 22, 7, tzinfo=UTC)


class TestStuck:
    def test_what_a_dead_worker_left_is_queued_again_when_its_lease_is_over(self, write: Write, now: datetime) -> None:
        write()
        Notification.objects.update(status="sending", next_attempt_at=now + LEASE)

        too_early = free_stuck(now=now)
        freed = free_stuck(now=now + LEASE)

        assert (too_early, freed) == (0, 1)
        assert deliver_batch(now=now + LEASE, recheck_messages=recheck_messages) > 0

    def test_a_message_that_kills_its_worker_every_time_is_given_up(self, write: Write, now: datetime) -> None:
        notification = write()
        Notification.objects.update(status="sending", attempts=12, next_attempt_at=now)

        free_stuck(now=now)

        assert fate(notification) == ("failed", "Its worker never came back.")
