"""What is not the recipient's fault is tried later, goes another way, and is told to operations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from cronjobs.monitoring.problems import find_problems
from mentors.models import Chapter, Mentor, User
from notifications.backlog import Refusals, find_refusals
from notifications.delivery import send_again
from notifications.models import BadAddress, Notification, Preference
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer, always
from tests.support.receiver import Answer, Receiver, http_receiver

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]

DAILY_LIMIT = "550 5.4.5 Daily user sending limit exceeded."


@pytest.fixture
def gateway(settings: Any) -> Iterator[Receiver]:
    with http_receiver() as server:
        settings.SMS_URL = f"json://127.0.0.1:{server.port}/sms/{{to}}"
        yield server


def exhaust() -> None:
    Notification.objects.update(attempts=11)


def by_sms(notification: Notification, address: str = "") -> Notification:
    return _by(notification, "sms", address)


def by_chat(notification: Notification) -> Notification:
    return _by(notification, "chat", "@liv")


def _by(notification: Notification, channel: str, address: str) -> Notification:
    Preference.objects.create(mentor=notification.recipient_mentor, channel=channel, address=address)
    Notification.objects.filter(pk=notification.pk).update(channel=channel)
    return notification


class TestLater:
    @pytest.mark.parametrize("answer", [DAILY_LIMIT, "550 5.7.1 refused by policy", "554 looks like spam"])
    def test_what_is_ours_to_mend_is_tried_later_and_marks_nobody(
        self, write: Write, post: MailServer, now: datetime, answer: str
    ) -> None:
        notification = write()
        post.at_rcpt = always(answer)

        deliver(now)

        assert fate(notification) == ("queued", answer)
        assert notification.fault == "ourselves"
        assert not BadAddress.objects.exists()

    def test_what_was_mended_in_time_is_sent(self, write: Write, post: MailServer, now: datetime) -> None:
        notification = write()
        post.at_rcpt = always(DAILY_LIMIT)
        deliver(now)
        post.at_rcpt = None

        deliver(now + timedelta(hours=1))

        assert fate(notification)[0] == "sent"


class TestNobody:
    @pytest.mark.parametrize("email", ["sender@example.org", "kari.black@example.org", "liv@spam.example", "a@b.no"])
    def test_her_address_is_no_word_of_the_answer(
        self, write: Write, post: MailServer, now: datetime, email: str
    ) -> None:
        notification = write(email=email)
        post.at_rcpt = always(f"550 5.1.1 <{email}>: Recipient address rejected: mailbox of {email} unavailable")

        deliver(now)

        assert (fate(notification)[0], notification.fault) == ("failed", "recipient")
        assert BadAddress.objects.filter(address=email).exists()


class TestAnotherWay:
    def test_a_mail_that_was_given_up_goes_by_sms(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        post.at_rcpt = always(DAILY_LIMIT)
        exhaust()

        deliver(now)

        assert fate(notification)[0] == "sent"
        assert (notification.channel, notification.given_up) == ("sms", ["email"])
        assert len(gateway.received) == 1

    def test_a_gateway_that_has_moved_is_tried_later_and_then_it_is_e_mail(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        Preference.objects.create(mentor=notification.recipient_mentor, channel="sms")
        Notification.objects.update(channel="sms")
        gateway.always(404)

        deliver(now)
        assert fate(notification)[0] == "queued"
        exhaust()
        deliver(now + timedelta(hours=1))

        assert fate(notification)[0] == "sent"
        assert len(post.received) == 1

    def test_where_every_way_is_closed_it_is_a_dead_letter(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        post.at_rcpt = always(DAILY_LIMIT)
        gateway.always(403)
        exhaust()
        deliver(now)
        exhaust()

        deliver(now + timedelta(hours=1))

        assert fate(notification)[0] == "failed"
        assert (notification.given_up, notification.fault) == (["email"], "ourselves")

    def test_an_address_where_nobody_is_is_not_gone_round(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        post.at_rcpt = always("550 5.1.1 user unknown")

        deliver(now)

        assert fate(notification)[0] == "failed"
        assert gateway.received == []

    def test_a_gateway_that_takes_no_message_is_gone_round_at_once(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = by_sms(write(phone="+4790000000"))
        gateway.always(400)

        deliver(now)

        assert (fate(notification)[0], notification.channel) == ("sent", "email")

    def test_where_the_next_way_leads_to_nobody_it_is_the_one_after_that(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime, settings: Any
    ) -> None:
        settings.CHAT_URL = f"json://127.0.0.1:{gateway.port}/chat/{{to}}"
        notification = by_chat(write(phone="+4790000000"))
        post.at_rcpt = always("550 5.1.1 user unknown")
        gateway.answer = lambda request: Answer(400 if request.path.startswith("/chat") else 204)

        deliver(now)

        assert (fate(notification)[0], notification.channel) == ("sent", "sms")
        assert notification.given_up == ["chat", "email"]

    def test_an_address_for_one_channel_is_none_for_another(
        self, write: Write, gateway: Receiver, now: datetime, settings: Any
    ) -> None:
        settings.CHAT_URL = f"json://127.0.0.1:{gateway.port}/chat/{{to}}"
        notification = by_sms(write(email=""), address="+4790000000")
        gateway.always(403)
        exhaust()

        deliver(now)

        assert (fate(notification)[0], notification.channel) == ("failed", "sms")
        assert notification.fault == "ourselves"

    def test_a_way_that_was_given_up_is_not_gone_again(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        post.at_rcpt = always(DAILY_LIMIT)
        gateway.always(503)
        exhaust()
        deliver(now)
        Mentor.objects.update(phone="")

        deliver(now + timedelta(hours=1))

        assert (fate(notification)[0], notification.channel, notification.fault) == ("failed", "sms", "ourselves")

    def test_sent_again_it_goes_its_first_way_again(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = write(phone="+4790000000")
        post.at_rcpt = always(DAILY_LIMIT)
        gateway.always(403)
        exhaust()
        deliver(now)
        exhaust()
        deliver(now + timedelta(hours=1))
        post.at_rcpt = None  # somebody has paid

        send_again([notification], now=now + timedelta(hours=2))
        deliver(now + timedelta(hours=2))

        assert (fate(notification)[0], notification.channel, notification.given_up) == ("sent", "email", [])


class TestIncident:
    def test_a_night_that_nobody_heard_of_is_a_problem(self, write: Write, post: MailServer, now: datetime) -> None:
        for _ in range(3):
            write()
        post.at_rcpt = always(DAILY_LIMIT)
        exhaust()

        deliver(now)

        assert find_refusals(now=now) == Refusals(count=3, total=3, since=now)
        assert "refusals" in {problem.key for problem in find_problems(now=now)}

    def test_few_among_many_are_none(self, write: Write, now: datetime) -> None:
        rows = [write() for _ in range(10)]
        Notification.objects.update(status="sent")
        Notification.objects.filter(pk=rows[0].pk).update(status="failed", fault="ourselves")

        assert find_refusals(now=now) is None

    def test_many_are_one_whatever_their_share(self, write: Write, now: datetime) -> None:
        rows = [write() for _ in range(120)]
        Notification.objects.update(status="sent")
        Notification.objects.filter(pk__in=[row.pk for row in rows[:20]]).update(status="failed", fault="provider")

        assert find_refusals(now=now) is not None

    def test_addresses_where_nobody_is_are_none(self, write: Write, post: MailServer, now: datetime) -> None:
        for _ in range(3):
            write()
        post.at_rcpt = always("550 5.1.1 user unknown")

        deliver(now)

        assert find_refusals(now=now) is None

    def test_what_went_another_way_counts(
        self, write: Write, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        write(phone="+4790000000")
        post.at_rcpt = always(DAILY_LIMIT)
        exhaust()

        deliver(now)

        assert find_refusals(now=now) == Refusals(count=1, total=1, since=now)

    def test_a_second_way_that_is_the_recipients_fault_hides_nothing(
        self, write: Write, kari: User, post: MailServer, gateway: Receiver, now: datetime
    ) -> None:
        notification = by_sms(write(email="liv@example.org", phone="+4790000000"))
        BadAddress.objects.create(channel="email", address="liv@example.org", reason="550", at=now)
        gateway.always(404)
        exhaust()

        deliver(now)

        assert (fate(notification)[0], notification.fault) == ("failed", "ourselves")
        assert find_refusals(now=now) == Refusals(count=1, total=1, since=now)

    def test_so_many_addresses_cannot_all_be_bad_on_one_night(
        self, write: Write, kari: User, post: MailServer, now: datetime
    ) -> None:
        for _ in range(6):
            write()
        post.at_rcpt = always("550 5.1.1 user unknown")

        deliver(now)

        assert find_refusals(now=now) == Refusals(count=6, total=6, since=now)

    def test_a_small_organisation_is_not_lost_in_the_crowd(
        self, write: Write, elsewhere: Chapter, foreigner: Mentor, now: datetime
    ) -> None:
        rows = [write() for _ in range(60)]
        Notification.objects.update(status="sent")
        theirs = {"organisation": elsewhere.organisation, "recipient_mentor": foreigner, "about": foreigner}
        Notification.objects.filter(pk__in=[row.pk for row in rows[:3]]).update(
            status="failed", fault="ourselves", **theirs
        )

        assert find_refusals(now=now) == Refusals(count=3, total=3, since=now)
