"""Delivering messages: outside every transaction, checked once more, tried again, given up with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certifications.phrases import OUTDATED
from certifications.recording import change_certification, renew_certification
from certifications.truth import find_outdated
from mentors.models import Mentor, Organisation, User
from notifications.channels import CHANNELS, EMAIL
from notifications.delivery import LEASE, LONGEST_PAUSE, deliver_all, deliver_batch, free_stuck, send_again
from notifications.models import BadAddress, Notification, Preference
from tests.conftest import TODAY, Certify, Enrol
from tests.support.mail import CLOSE, HANG, MailServer, always, mail_server
from tests.support.nights import noon, run_night

pytestmark = pytest.mark.django_db

Write = Callable[..., Notification]


@pytest.fixture
def always_open(hlf: Organisation) -> Organisation:
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()
    return hlf


@pytest.fixture
def now() -> datetime:
    """An hour after the night, which these tests run at noon."""
    return noon(TODAY) + timedelta(hours=1)


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    """A real mail server, which answers at once or not at all."""
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 1
        yield server


@pytest.fixture
def write(always_open: Organisation, enrol: Enrol, now: datetime) -> Write:
    """Queue a message to a new mentor, who was resumed and so is told the truth: `write(email="liv@example.org")`."""

    def write(**fields: Any) -> Notification:
        mentor = enrol(**fields)
        return Notification.objects.create(
            dedupe_key=f"test:{mentor.pk}",
            organisation=always_open,
            kind="night",
            channel=EMAIL,
            recipient_mentor=mentor,
            about=mentor,
            language="nb",
            context={"happenings": [{"kind": "resume", "key": f"test:{mentor.pk}"}]},
            next_attempt_at=now,
            created_at=now,
        )

    return write


def deliver(now: datetime) -> None:
    deliver_all(now=lambda: now, find_outdated=find_outdated)


def fate(notification: Notification) -> tuple[str, str]:
    notification.refresh_from_db()
    return notification.status, notification.error


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

    def test_a_batch_costs_one_statement_a_message_and_a_few_more(self, write: Write, now: datetime) -> None:
        def count(messages: int) -> int:
            for _ in range(messages):
                write()
            with CaptureQueriesContext(
                connection,
            ) as queries:
                deliver_batch(now=now, find_outdated=find_outdated)
            return len(queries)

        few, many = count(5), count(25)

        assert many - few == 20
        assert few <= 16


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
        assert fate(Notification.objects.get(recipient_mentor=mentor)) == ("cancelled", OUTDATED.write())

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
        assert fate(Notification.objects.get(kind="digest")) == ("cancelled", OUTDATED.write())


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

    @pytest.mark.parametrize("answer", ["550 5.7.1 refused by policy", "554 looks like spam", "552 too large"])
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
        self, write: Write, post: MailServer, now: datetime, answer: str
    ) -> None:
        rows = [write() for _ in range(5)]
        third = rows[2].recipient_mentor.email  # type: ignore[union-attr]
        post.after_data = lambda address: answer if address == third else None

        deliver(now)

        assert [fate(row)[0] for row in rows] == ["sent", "sent", "queued", "sent", "sent"]
        assert post.connections == 2

    def test_a_server_that_always_hangs_is_given_up_for_the_batch(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        rows = [write() for _ in range(20)]
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
        post.after_data = always("554 no")

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
        post.after_data = always("554 no")
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
        assert deliver_batch(now=now + LEASE, find_outdated=find_outdated) > 0

    def test_a_message_that_kills_its_worker_every_time_is_given_up(self, write: Write, now: datetime) -> None:
        notification = write()
        Notification.objects.update(status="sending", attempts=12, next_attempt_at=now)

        free_stuck(now=now)

        assert fate(notification) == ("failed", "Its worker never came back.")


class TestSendingHours:
    """Rule 12: computed at night, delivered when people are awake."""

    @pytest.mark.parametrize(
        ("midnight", "eight"),
        [
            ("2026-11-20T23:30:00+00:00", "2026-11-21T07:00:00+00:00"),
            ("2026-03-28T23:30:00+00:00", "2026-03-29T06:00:00+00:00"),  # summer time begins in between
            ("2026-10-24T22:30:00+00:00", "2026-10-25T07:00:00+00:00"),  # and ends
        ],
    )
    def test_nothing_leaves_at_half_past_midnight_and_all_of_it_at_eight(
        self,
        hlf: Organisation,
        enrol: Enrol,
        certify: Certify,
        kari: User,
        post: MailServer,
        midnight: str,
        eight: str,
    ) -> None:
        at_night, in_the_morning = datetime.fromisoformat(midnight), datetime.fromisoformat(eight)
        on = hlf.local_date(at_night)
        for days in (-1, 7, 14):
            certify(enrol(), expires_in=(on - TODAY).days + days)
        run_night(hlf, on, now=at_night)

        deliver(at_night)
        deliver(in_the_morning - timedelta(seconds=1))
        by_then = len(post.received)
        deliver(in_the_morning)

        assert (by_then, len(post.received)) == (0, 4)
        assert not Notification.objects.filter(status="queued").exists()

    def test_what_is_due_late_in_the_evening_waits_for_the_morning(
        self, hlf: Organisation, write: Write, now: datetime
    ) -> None:
        notification = write()
        Organisation.objects.update(sending_from=time(8), sending_until=time(20))

        deliver(datetime(2026, 11, 21, 20, tzinfo=UTC))

        assert fate(notification)[0] == "queued"
        assert (notification.attempts, notification.next_attempt_at) == (0, datetime(2026, 11, 22, 7, tzinfo=UTC))

    def test_a_retry_keeps_them(self, hlf: Organisation, write: Write, post: MailServer, now: datetime) -> None:
        notification = write()
        Organisation.objects.update(sending_from=time(8), sending_until=time(20))
        post.after_data = always("451 later")

        deliver(datetime(2026, 11, 21, 18, 59, 50, tzinfo=UTC))

        fate(notification)
        assert notification.next_attempt_at == datetime(2026, 11, 22, 7, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("now", "leaves_at"),
        [
            ("2026-11-21T06:59:59+00:00", "2026-11-21T07:00:00+00:00"),  # 07:59 in Oslo
            ("2026-11-21T07:00:00+00:00", "2026-11-21T07:00:00+00:00"),
            ("2026-11-21T19:00:00+00:00", "2026-11-22T07:00:00+00:00"),  # 20:00 in Oslo: closed
        ],
    )
    def test_they_are_local(self, hlf: Organisation, now: str, leaves_at: str) -> None:
        assert hlf.next_sending_time(datetime.fromisoformat(now)) == datetime.fromisoformat(leaves_at)

    def test_they_may_span_midnight(self, hlf: Organisation) -> None:
        hlf.sending_from, hlf.sending_until = time(22), time(6)

        assert hlf.next_sending_time(datetime(2026, 11, 21, 1, tzinfo=UTC)) == datetime(2026, 11, 21, 1, tzinfo=UTC)
        assert hlf.next_sending_time(datetime(2026, 11, 21, 12, tzinfo=UTC)) == datetime(2026, 11, 21, 21, tzinfo=UTC)


class TestChannelOfChoice:
    @pytest.fixture
    def channels_of(self, always_open: Organisation, certify: Certify, today: date) -> Callable[[Mentor], list[str]]:
        def channels_of(mentor: Mentor) -> list[str]:
            certify(mentor, expires_in=7)
            run_night(always_open, today)
            return list(Notification.objects.filter(recipient_mentor=mentor).values_list("channel", flat=True))

        return channels_of

    def test_without_a_choice_it_is_e_mail(self, mentor: Mentor, channels_of: Callable[[Mentor], list[str]]) -> None:
        assert channels_of(mentor) == ["email"]

    def test_it_is_the_one_that_the_mentor_chose(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]], settings: Any
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        mentor = enrol(phone="+4712345678")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["sms"]

    def test_where_that_cannot_reach_her_it_is_e_mail(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]], settings: Any
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        mentor = enrol(phone="")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["email"]

    def test_where_the_installation_has_no_gateway_it_is_e_mail(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]]
    ) -> None:
        mentor = enrol(phone="+4712345678")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["email"]

    def test_what_waits_for_a_channel_that_is_no_more_goes_by_e_mail(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write(email="liv@example.org")
        Notification.objects.update(channel="webhook")  # the organisation has no app

        deliver(now)

        assert (fate(notification)[0], notification.channel, notification.attempts) == ("sent", "email", 1)
        assert len(post.to("liv@example.org")) == 1

    def test_a_coordinator_whom_her_channel_cannot_reach_is_written_to_by_e_mail(
        self, always_open: Organisation, mentor: Mentor, kari: User, certify: Certify, settings: Any, today: date
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        Preference.objects.create(user=kari, channel="sms")  # and no phone

        certify(mentor, expires_in=7)
        run_night(always_open, today)

        assert Notification.objects.get(recipient_user=kari, kind="digest").channel == EMAIL

    def test_who_cannot_be_reached_at_all_is_known_to_the_coordinators(
        self, enrol: Enrol, kari: User, channels_of: Callable[[Mentor], list[str]]
    ) -> None:
        mentor = enrol(email="")

        assert channels_of(mentor) == []
        assert Notification.objects.filter(recipient_user=kari, about=mentor, channel="inbox").exists()

    def test_the_inbox_and_operations_are_nobodys_choice(self) -> None:
        chosen = {code for code, channel in CHANNELS.items() if channel.is_personal}

        assert chosen == {"email", "sms", "chat", "webhook"}
