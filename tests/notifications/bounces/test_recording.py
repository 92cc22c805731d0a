"""What a report of a message that came back does, and what nobody can forge."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mentors.models import Mentor, Organisation, User
from notifications.bounce_reports import DeliveryReport, Outcome
from notifications.bounces import record_bounce
from notifications.models import BadAddress, Notification
from tests.support.bounces import FORGED_ID, marked, told, write_message


def report(row: Notification, outcome: Outcome = Outcome.BAD_ADDRESS, **fields: Any) -> DeliveryReport:
    values = {
        "message_ids": (row.message_id,),
        "addresses": ("liv@example.org",),
        "reason": "550 5.1.1 No such user",
    } | fields
    return DeliveryReport(outcome=outcome, **values)


@pytest.mark.django_db
class TestRecording:
    @pytest.mark.parametrize(
        ("outcome", "status", "error", "is_marked"),
        [
            (Outcome.BAD_ADDRESS, "failed", "came back: 550 5.1.1 No such user", True),
            (Outcome.LOST, "failed", "came back: 550 5.1.1 No such user", False),
            (Outcome.DELAYED, "sent", "delayed: 550 5.1.1 No such user", False),
            (Outcome.UNWANTED, "sent", "unwanted: 550 5.1.1 No such user", True),
        ],
    )
    def test_what_becomes_of_the_message(
        self, sent: Notification, kari: User, now: datetime, outcome: Outcome, status: str, error: str, is_marked: bool
    ) -> None:
        recorded = record_bounce(report(sent, outcome), now=now)

        sent.refresh_from_db()
        assert recorded
        assert (sent.status, sent.error.in_english(), sent.sent_at) == (status, error, now)
        assert marked() == ([("email", "liv@example.org")] if is_marked else [])
        assert told() == ([("kari", "M0")] if is_marked else [])

    def test_a_repeated_report_does_not_mark_an_address_that_somebody_has_freed(
        self, sent: Notification, kari: User, now: datetime
    ) -> None:
        record_bounce(report(sent), now=now)
        BadAddress.objects.all().delete()

        repeated = record_bounce(report(sent), now=now)

        assert repeated
        assert marked() == []
        assert told() == [("kari", "M0")]

    def test_what_was_delayed_and_then_given_up_has_failed_and_stays_so(
        self, sent: Notification, now: datetime
    ) -> None:
        for outcome in (Outcome.DELAYED, Outcome.LOST, Outcome.DELAYED):
            record_bounce(report(sent, outcome), now=now)

        sent.refresh_from_db()
        assert (sent.status, sent.error.in_english()) == ("failed", "came back: 550 5.1.1 No such user")

    @pytest.mark.parametrize(
        ("before", "after"),
        [("sending", "failed"), ("failed", "failed"), ("queued", "queued"), ("cancelled", "cancelled")],
    )
    def test_only_what_may_have_left_has_come_back(
        self, sent: Notification, now: datetime, before: str, after: str
    ) -> None:
        Notification.objects.filter(pk=sent.pk).update(status=before)

        record_bounce(report(sent), now=now)

        sent.refresh_from_db()
        assert sent.status == after
        assert marked() == [("email", "liv@example.org")]

    @pytest.mark.parametrize(
        "message_id",
        [
            FORGED_ID,
            "<{pk}.x@example.org>",
            "<{pk}>",
            "{pk}",
            "",
            "<99999999999999999999.6f1b2c3d-0a1b-4c2d-8e3f-5a6b7c8d9e0f@example.org>",
            "<999999.6f1b2c3d-0a1b-4c2d-8e3f-5a6b7c8d9e0f@example.org>",
            "<٣.6f1b2c3d-0a1b-4c2d-8e3f-5a6b7c8d9e0f@example.org>",
            "<CAByYQsF5qdTf@mail.gmail.com>",
        ],
    )
    def test_a_forged_or_foreign_message_id_does_nothing(
        self, sent: Notification, now: datetime, message_id: str
    ) -> None:
        forged = report(sent, message_ids=(message_id.format(pk=sent.pk),))

        assert not record_bounce(forged, now=now)

        sent.refresh_from_db()
        assert (sent.status, sent.error.in_english(), marked()) == ("sent", "", [])

    @pytest.mark.parametrize("addresses", [("kari@example.org",), ("",), ()])
    def test_nobody_can_mark_an_address_to_which_the_message_did_not_go(
        self, sent: Notification, kari: User, now: datetime, addresses: tuple[str, ...]
    ) -> None:
        assert not record_bounce(report(sent, addresses=addresses), now=now)

        sent.refresh_from_db()
        assert (sent.status, marked()) == ("sent", [])

    def test_a_message_by_another_channel_is_none_of_a_mail_servers_business(
        self, hlf: Organisation, mentor: Mentor, now: datetime
    ) -> None:
        Mentor.objects.update(phone="+4791234567")
        row = write_message(hlf, now, recipient_mentor=mentor, channel="sms")

        assert not record_bounce(report(row, addresses=("+4791234567",)), now=now)

    def test_a_message_to_operations_has_failed_and_its_address_stays_good(
        self, hlf: Organisation, now: datetime, settings: Any
    ) -> None:
        settings.OPERATIONS_EMAIL = "operations@example.org"
        row = write_message(hlf, now, channel="operations", kind="late")

        assert record_bounce(report(row, addresses=("operations@example.org",)), now=now)

        row.refresh_from_db()
        assert (row.status, marked()) == ("failed", [])

    def test_a_summary_comes_back_from_a_coordinator(
        self, hlf: Organisation, kari: User, olav: User, now: datetime
    ) -> None:
        row = write_message(hlf, now, recipient_user=kari, kind="digest", context={})

        assert record_bounce(report(row, addresses=("kari@example.org",)), now=now)

        assert marked() == [("email", "kari@example.org")]

    def test_nothing_personal_is_logged(
        self, sent: Notification, kari: User, now: datetime, caplog: pytest.LogCaptureFixture
    ) -> None:
        record_bounce(report(sent, reason="550 5.1.1 <liv@example.org> Liv Moe"), now=now)
        record_bounce(report(sent, addresses=("other@example.org",)), now=now)

        assert len(caplog.records) >= 3
        assert "example.org" not in caplog.text
        assert "Moe" not in caplog.text
