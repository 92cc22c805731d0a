"""A worker that stood still sends nothing that is another's by now, and what a person has received is not denied."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from certifications.recheck import recheck_messages
from certifications.record_text import OUTDATED
from mentors.models import Mentor
from mentors.record_text import RecordText
from notifications import delivery
from notifications.claims import LEASE, claim_due, free_stuck, mark_sent, renew
from notifications.delivery import deliver_batch, send_again
from notifications.messages.context import Message, read_notifications
from notifications.models import BadAddress, Notification
from tests.support.at_once import side_by_side
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import CLOSE, HANG, MailServer, always
from tests.support.processes import PATIENCE, live_environment, running

TWENTY = 20

DELIVER = """
import sys
from datetime import datetime
import django
django.setup()
from certifications.recheck import recheck_messages
from notifications.delivery import deliver_batch
print(deliver_batch(now=datetime.fromisoformat(sys.argv[1]), recheck_messages=recheck_messages), "delivered")
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_stood_still_in_its_batch_sends_none_of_it_twice(
    write: Write, post: MailServer, now: datetime, settings: Any
) -> None:
    settings.DELIVERY_RATES = {}
    rows = [write() for _ in range(TWENTY)]
    stands_still, goes_on = Event(), Event()

    def stand_still(messages: Sequence[Message]) -> dict[int, RecordText]:
        stands_still.set()
        assert goes_on.wait(PATIENCE)
        return recheck_messages(messages)

    def work() -> None:
        deliver_batch(now=now, recheck_messages=stand_still)
        connection.close()

    worker = Thread(target=work)
    worker.start()
    assert stands_still.wait(PATIENCE)
    free_stuck(now=now + LEASE)
    deliver(now + LEASE)
    goes_on.set()
    worker.join(PATIENCE)

    assert sorted(post.offered) == sorted({row.message_id for row in Notification.objects.all()})
    assert len(post.received) == TWENTY
    assert {fate(row)[0] for row in rows} == {"sent"}


@pytest.mark.django_db(transaction=True)
def test_what_one_is_just_claiming_another_passes_over(write: Write, now: datetime) -> None:
    notification = write()

    claimed = side_by_side(lambda: claim_due(uuid4(), now=now), lambda: claim_due(uuid4(), now=now))

    assert claimed == [[notification.pk], []]
    notification.refresh_from_db()
    assert notification.attempts == 1


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_process_that_was_stopped_goes_on_with_nothing_that_another_has_sent(
    write: Write, post: MailServer, now: datetime
) -> None:
    rows = [write() for _ in range(TWENTY)]
    is_asked = Event()

    def hang(_address: str) -> str:
        is_asked.set()
        return HANG

    post.at_rcpt = hang
    environment = live_environment(
        DJANGO_SETTINGS_MODULE="config.settings", EMAIL_URL=f"{post.url}?timeout=600", EMAIL_TIMEOUT="600"
    )
    with running("python", "-c", DELIVER, now.isoformat(), env=environment) as process:
        process.wait_until(is_asked.is_set, what="its first message")
        process.popen.send_signal(signal.SIGSTOP)
        post.at_rcpt = None
        free_stuck(now=now + 2 * LEASE)
        deliver(now + 2 * LEASE)
        post.release()  # and so the connection that hangs is cut
        process.popen.send_signal(signal.SIGCONT)
        process.wait_for(f"{TWENTY} delivered")

    assert len(post.received) == TWENTY
    assert sorted(post.offered) == sorted(Notification.objects.values_list("message_id", flat=True))
    assert {fate(row)[0] for row in rows} == {"sent"}


@pytest.mark.django_db
class TestClaim:
    def test_only_whose_claim_it_is_renews_it(self, write: Write, now: datetime) -> None:
        write()
        mine = self.take(now)
        free_stuck(now=now + LEASE)
        others = self.take(now + LEASE)

        assert not renew(mine, now=now + LEASE)
        assert renew(others, now=now + LEASE)

    def test_what_was_taken_after_the_lease_was_lost_is_sent_and_not_sent_again(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write()
        slow = self.take(now)
        renew(slow, now=now)
        free_stuck(now=now + LEASE)
        mark_sent(slow, now=now + LEASE)  # the host had taken it before

        deliver(now + LEASE)

        assert fate(notification)[0] == "sent"
        assert post.offered == []

    def test_what_was_taken_after_another_had_given_it_up_is_sent(self, write: Write, now: datetime) -> None:
        notification = write()
        slow = self.take(now)
        renew(slow, now=now)
        Notification.objects.update(status="failed", claim=None)

        mark_sent(slow, now=now)

        assert fate(notification) == ("sent", "")

    def take(self, now: datetime) -> Notification:
        (pk,) = claim_due(uuid4(), now=now)
        return read_notifications().get(pk=pk)


@pytest.mark.django_db
class TestDoubt:
    """A worker was killed, or the server fell silent, after the message was handed over."""

    @pytest.fixture
    def handed_over(self, write: Write, post: MailServer, now: datetime) -> Notification:
        notification = write()
        post.after_data = always(CLOSE)
        deliver(now)
        post.after_data = None
        assert fate(notification)[0] == "queued"
        return notification

    def test_it_is_sent_again_as_the_same_message(
        self, handed_over: Notification, post: MailServer, now: datetime
    ) -> None:
        deliver(now + timedelta(minutes=2))

        assert fate(handed_over) == ("sent", "")
        assert len(post.offered) == 2
        assert len(set(post.offered)) == 1
        assert not handed_over.in_doubt

    def test_what_is_no_longer_true_by_then_is_not_said_to_be_unsent(
        self, handed_over: Notification, now: datetime
    ) -> None:
        Mentor.objects.update(status="ended")

        deliver(now + timedelta(minutes=2))

        assert fate(handed_over) == ("uncertain", OUTDATED().in_english())

    def test_an_address_that_was_marked_meanwhile_denies_nothing(
        self, handed_over: Notification, now: datetime
    ) -> None:
        address = handed_over.recipient_mentor.email  # type: ignore[union-attr]
        BadAddress.objects.create(channel="email", address=address, reason="550", at=now)

        deliver(now + timedelta(minutes=2))

        assert fate(handed_over)[0] == "uncertain"

    def test_a_message_that_kills_its_worker_every_time_may_have_been_received(
        self, handed_over: Notification, now: datetime
    ) -> None:
        Notification.objects.update(status="sending", attempts=12, next_attempt_at=now)

        free_stuck(now=now)

        assert fate(handed_over) == ("uncertain", "Its worker never came back.")

    def test_a_person_may_send_it_again(self, handed_over: Notification, post: MailServer, now: datetime) -> None:
        Notification.objects.update(status="uncertain", next_attempt_at=None)

        assert send_again([handed_over], now=now) == 1

    @pytest.mark.parametrize("answer", ["451 later", "552 5.2.2 mailbox full"])
    def test_an_answer_leaves_no_doubt(self, write: Write, post: MailServer, now: datetime, answer: str) -> None:
        notification = write()
        post.after_data = always(answer)

        deliver(now)

        fate(notification)
        assert not notification.in_doubt

    def test_a_server_that_is_not_there_leaves_no_doubt(self, write: Write, post: MailServer, now: datetime) -> None:
        notification = write()
        post.down()

        deliver(now)

        assert fate(notification) == ("queued", "ConnectionRefusedError")
        assert not notification.in_doubt


@pytest.mark.django_db
class TestFreshness:
    def test_what_stops_being_true_while_a_batch_is_sent_is_not_said(
        self, write: Write, post: MailServer, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery, "FRESH_SECONDS", 0.0)
        first, second = write(), write()
        second_mentor = Mentor.objects.filter(messages=second)

        def end_the_second(row: Notification, **fields: Any) -> None:
            mark_sent(row, **fields)
            second_mentor.update(status="ended")

        monkeypatch.setattr(delivery, "mark_sent", end_the_second)
        deliver(now)

        assert fate(first)[0] == "sent"
        assert fate(second)[0] == "cancelled"
