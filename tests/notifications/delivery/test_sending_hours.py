"""Rule 12: computed at night, delivered when people are awake."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from mentors.models import Organisation, User
from notifications.models import Notification
from tests.conftest import TODAY, Certify, Enrol
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer, always
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


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

    def test_a_message_of_an_organisation_whose_time_zone_nobody_knows_any_more_leaves_by_utc(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write()
        Organisation.objects.update(timezone="Europe/Nowhere")

        deliver(now)

        assert fate(notification)[0] == "sent"
