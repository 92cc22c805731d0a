"""Messages that come back: who is told, what is marked, and what nobody can forge."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from anymail.webhooks import brevo, mailgun
from django.core import checks, mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, include, path

from config.urls import provider_webhooks
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from mentors.validators import RESERVED_SLUGS
from notifications.bounces import mark_app_gone, mark_bad, record_bounce
from notifications.delivery import deliver_batch
from notifications.models import BadAddress, Notification, Preference, Webhook
from notifications.reports import LONGEST, Outcome, Report, read_event, read_reports
from tests.conftest import Enrol
from tests.support.processes import PROJECT, live_environment, web

SAMPLES = PROJECT / "tests/notifications/bounces"
MESSAGE_ID = "<{pk}.6f1b2c3d-0a1b-4c2d-8e3f-5a6b7c8d9e0f@example.org>"
FORGED_ID = "<{pk}.00000000-0000-4000-8000-000000000000@example.org>"
SECRET = "postmark:of-this-test"

# What config/urls.py mounts with EMAIL_PROVIDER=postmark.
urlpatterns: list[URLPattern | URLResolver] = [path("anymail/", include(provider_webhooks("postmark")))]


def sample(name: str, message_id: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes().replace(b"@@MESSAGE_ID@@", message_id.encode())


def write_message(organisation: Organisation, now: datetime, **fields: Any) -> Notification:
    values = {
        "dedupe_key": f"test:{Notification.objects.count()}",
        "kind": "night",
        "channel": "email",
        "language": "nb",
        "context": {"happenings": []},
        "status": "sent",
        "sent_at": now,
        "created_at": now,
    } | fields
    row = Notification.objects.create(organisation=organisation, **values)
    row.message_id = MESSAGE_ID.format(pk=row.pk)
    row.save()
    return row


@pytest.fixture
def sent(hlf: Organisation, mentor: Mentor, now: datetime) -> Notification:
    """A message to Liv that has left."""
    return write_message(hlf, now, recipient_mentor=mentor, about=mentor)


@pytest.fixture
def always_open(hlf: Organisation) -> None:
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()


def report(row: Notification, outcome: Outcome = Outcome.BAD_ADDRESS, **fields: Any) -> Report:
    values = {
        "message_ids": (row.message_id,),
        "addresses": ("liv@example.org",),
        "reason": "550 5.1.1 No such user",
    } | fields
    return Report(outcome=outcome, **values)


def told(channel: str = "inbox") -> list[tuple[str, str]]:
    """Return who was told by the channel that an address is bad, and of whom."""
    rows = Notification.objects.filter(kind="bounced", channel=channel).order_by("pk")
    return [
        (row.recipient_user.username if row.recipient_user else "operations", row.about.ref if row.about else "")
        for row in rows
    ]


def marked() -> list[tuple[str, str]]:
    return list(BadAddress.objects.order_by("pk").values_list("channel", "address"))


@pytest.mark.django_db
class TestMarking:
    def test_the_coordinators_of_whoever_has_the_address_are_told(
        self, hlf: Organisation, enrol: Enrol, bergen: Chapter, kari: User, olav: User, now: datetime
    ) -> None:
        enrol(ref="M-oslo", email="Office@Example.org")
        enrol(ref="M-bergen", email="office@example.org", chapter=bergen)
        enrol(ref="M-ended", email="office@example.org", status="ended")
        enrol(ref="M-other")

        mark_bad("email", "OFFICE@example.org", reason="550 5.1.1 No such user", now=now)

        assert marked() == [("email", "office@example.org")]
        assert told() == [("kari", "M-oslo"), ("olav", "M-bergen")]
        assert Notification.objects.filter(kind="bounced").first().context == {"reason": "550 5.1.1 No such user"}  # type: ignore[union-attr]

    def test_a_second_report_does_nothing(self, mentor: Mentor, enrol: Enrol, kari: User, now: datetime) -> None:
        mark_bad("email", mentor.email, reason="first", now=now)
        enrol(email=mentor.email)
        mark_bad("email", mentor.email.upper(), reason="second", now=now + timedelta(days=1))

        assert BadAddress.objects.get().reason == "first"
        assert told() == [("kari", "M0")]

    def test_what_is_removed_and_comes_back_again_is_told_again(
        self, mentor: Mentor, kari: User, now: datetime
    ) -> None:
        mark_bad("email", mentor.email, reason="first", now=now)
        BadAddress.objects.all().delete()
        mark_bad("email", mentor.email, reason="second", now=now)

        assert told() == [("kari", "M0")] * 2

    @pytest.mark.parametrize(
        ("fields", "preference", "marks", "is_told"),
        [
            ({"phone": "+4791234567"}, None, "+4791234567", True),
            ({"phone": "+4791234567"}, {"channel": "sms", "address": "+4799999999"}, "+4799999999", True),
            ({}, {"channel": "email", "address": "+4799999999"}, "+4799999999", False),
        ],
        ids=["on record", "chosen", "chosen on another channel"],
    )
    def test_a_phone_is_an_address_too(
        self,
        enrol: Enrol,
        kari: User,
        now: datetime,
        fields: dict[str, str],
        preference: dict[str, str] | None,
        marks: str,
        is_told: bool,
    ) -> None:
        mentor = enrol(**fields)
        if preference:
            Preference.objects.create(mentor=mentor, **preference)

        mark_bad("sms", marks, reason="unknown number", now=now)

        assert told() == ([("kari", mentor.ref)] if is_told else [])

    def test_of_a_chapter_without_coordinators_operations_are_told(self, mentor: Mentor, now: datetime) -> None:
        mark_bad("email", mentor.email, reason="550", now=now)

        assert list(Notification.objects.values_list("kind", "channel")) == [("no_coordinator", "operations")]

    def test_of_a_coordinator_the_organisation_wide_ones_and_operations_are_told(
        self, kari: User, olav: User, elsewhere: Chapter, now: datetime
    ) -> None:
        kari.first_name, kari.last_name = "Kari", "Li"
        kari.save()
        CoordinatorRole.objects.create(user=kari, organisation=elsewhere.organisation)

        mark_bad("email", "KARI@example.org", reason="550 5.1.1", now=now)

        by_mail = Notification.objects.filter(kind="bounced", channel="email", organisation__slug="hlf")
        assert [row.recipient_user for row in by_mail] == [olav]
        assert by_mail[0].context == {"reason": "550 5.1.1", "name": "Kari Li"}
        warned = Notification.objects.filter(kind="bounced", channel="operations").order_by("organisation")
        assert sorted(row.organisation.slug for row in warned) == ["hlf", "other"]

    def test_a_coordinator_whose_address_it_is_not_any_more_is_nobody(self, kari: User, now: datetime) -> None:
        kari.roles.all().delete()
        User.objects.create_user("revisor", email="revisor@example.org", is_active=False)

        mark_bad("email", "kari@example.org", reason="550", now=now)
        mark_bad("email", "revisor@example.org", reason="550", now=now)

        assert len(marked()) == 2
        assert Notification.objects.count() == 0

    def test_nothing_more_is_sent_there_not_even_that_it_is_bad(
        self, hlf: Organisation, olav: User, always_open: None, now: datetime
    ) -> None:
        waiting = write_message(hlf, now, recipient_user=olav, kind="digest", status="queued", next_attempt_at=now)

        mark_bad("email", "olav@example.org", reason="550", now=now)
        deliver_batch(now=now, find_outdated=lambda _messages: {})

        waiting.refresh_from_db()
        assert mail.outbox == []
        assert (waiting.status, waiting.error[:26]) == ("failed", "The address is marked as b")

    def test_the_address_of_operations_is_never_marked(self, now: datetime) -> None:
        mark_bad("operations", "operations@example.org", reason="550", now=now)

        assert marked() == []

    def test_the_reason_names_nobody_and_is_one_line_that_the_database_takes(
        self, mentor: Mentor, kari: User, now: datetime
    ) -> None:
        reason = "550 <Liv@Example.org>: liv is\r\n\x00 not \ud800here, nor liv.privat@example.com; olive is"

        mark_bad("email", mentor.email, reason=reason, now=now)

        assert BadAddress.objects.get().reason == "550 <…>: … is not here, nor …; olive is"

    def test_if_the_coordinators_cannot_be_told_nothing_is_marked(
        self, mentor: Mentor, now: datetime, settings: Any
    ) -> None:
        settings.NOTIFICATION_SERVICE = "tests.notifications.test_bounces.Mute"

        with pytest.raises(RuntimeError):
            mark_bad("email", mentor.email, reason="550", now=now)

        assert marked() == []


class Mute:
    """A notification service, as an installation may put one in place, that fails."""

    def tell_coordinators(self, kind: str, **_fields: Any) -> None:
        raise RuntimeError(kind)


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_mark_the_same_address_one_tells(mentor: Mentor, kari: User, now: datetime) -> None:
    def mark(_worker: int) -> None:
        try:
            mark_bad("email", mentor.email, reason="550", now=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(mark, range(8)))

    assert marked() == [("email", "liv@example.org")]
    assert told() == [("kari", "M0")]


@pytest.mark.django_db
class TestAppGone:
    @pytest.fixture
    def webhook(self, hlf: Organisation) -> Webhook:
        return Webhook.objects.create(organisation=hlf, url="https://app.example.org:8443/hook?key=secret")

    def test_it_is_noted_and_told_once(self, hlf: Organisation, olav: User, webhook: Webhook, now: datetime) -> None:
        mark_app_gone(hlf, now=now)
        mark_app_gone(Organisation.objects.get(), now=now + timedelta(minutes=1))

        webhook.refresh_from_db()
        assert webhook.gone_at == now
        warnings = Notification.objects.filter(kind="app_gone")
        assert sorted(row.channel for row in warnings) == ["email", "inbox", "operations"]
        assert all(row.context == {"host": "app.example.org"} for row in warnings)

    def test_it_is_told_again_when_it_goes_again(self, hlf: Organisation, webhook: Webhook, now: datetime) -> None:
        mark_app_gone(hlf, now=now)
        Webhook.objects.update(gone_at=None)
        mark_app_gone(hlf, now=now + timedelta(days=1))

        assert Notification.objects.filter(kind="app_gone", channel="operations").count() == 2

    def test_one_that_has_moved_meanwhile_is_not_gone(self, hlf: Organisation, webhook: Webhook, now: datetime) -> None:
        asked = Organisation.objects.select_related("webhook").get()
        Webhook.objects.update(url="https://new.example.org/hook")

        mark_app_gone(asked, now=now)

        webhook.refresh_from_db()
        assert webhook.gone_at is None
        assert Notification.objects.count() == 0

    def test_an_organisation_without_an_app_has_none_that_could_go(self, hlf: Organisation, now: datetime) -> None:
        mark_app_gone(hlf, now=now)

        assert Notification.objects.count() == 0


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
        assert (sent.status, sent.error, sent.sent_at) == (status, error, now)
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
        assert (sent.status, sent.error) == ("failed", "came back: 550 5.1.1 No such user")

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
        assert (sent.status, sent.error, marked()) == ("sent", "", [])

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


class TestReading:
    @pytest.mark.parametrize(
        ("name", "outcome", "addresses", "reason"),
        [
            ("postfix_unknown", Outcome.BAD_ADDRESS, {"liv@example.org"}, "550 5.1.1 <liv@example.org>: Recipient"),
            ("postfix_delayed", Outcome.DELAYED, {"liv@example.org"}, "connect to mx.example.org[192.0.2.25]:25:"),
            ("exchange_not_found", Outcome.BAD_ADDRESS, {"Liv@example.org", "liv@example.org"}, "550 5.1.10 RESOLVER"),
            ("outlook_full", Outcome.LOST, {"liv@example.org"}, "550 5.2.2 <liv@example.org>... Mailbox Full"),
            (
                "gmail_forwarded",
                Outcome.BAD_ADDRESS,
                {"liv.privat@example.com", "liv@example.org"},
                "550-5.1.1 The email account that you tried to reach does not exist.",
            ),
        ],
    )
    @pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
    def test_what_the_mail_servers_send_is_understood(
        self, name: str, outcome: Outcome, addresses: set[str], reason: str, line_end: bytes
    ) -> None:
        raw = sample(name, "<1.a@example.org>").replace(b"\n", line_end)

        (found,) = read_reports(raw)

        assert found.message_ids[0] == "<1.a@example.org>"
        assert set(found.addresses) == addresses
        assert found.outcome == outcome
        assert found.reason.startswith(reason)

    @pytest.mark.parametrize(
        ("status", "diagnostic"),
        [
            ("5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist."),
            ("5.0.0", "smtp; 550 5.1.1 User unknown"),
            ("5.0.0", "smtp; 550 No such user here"),
            ("5.1.2", ""),
            ("5.2.1", "smtp; 550 5.2.1 The email account that you tried to reach is disabled"),
            ("5.4.1", "smtp;550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
            ("5.4.4", "X-Postfix; Host or domain name not found. Name service error: Host not found"),
            ("5.5.0", "smtp;550 5.5.0 Requested action not taken: mailbox unavailable"),
            ("5.0.0", "smtp; 554 delivery error: dd This user doesn't have a yahoo.com account"),
        ],
    )
    def test_an_address_at_which_nobody_is(self, status: str, diagnostic: str) -> None:
        (found,) = read_reports(delivery_status(status=status, diagnostic=diagnostic))

        assert found.outcome == Outcome.BAD_ADDRESS

    @pytest.mark.parametrize(
        ("status", "diagnostic"),
        [
            ("4.4.7", "smtp; 550 4.4.7 Message expired"),
            ("4.1.1", "smtp; 450 4.1.1 Recipient address rejected: unverified address"),
            ("4.2.1", "smtp; 450 4.2.1 The account is disabled for now"),
            ("4.2.2", "smtp; 452 4.2.2 The account is over quota"),
            ("5.2.2", "smtp; 552 5.2.2 The account that you tried to reach is over quota, try 5.1.1"),
            ("5.2.1", "smtp; 550 5.2.1 The user is receiving mail at a rate that prevents additional messages"),
            ("5.7.1", "smtp; 554 5.7.1 Relay access denied"),
            ("5.7.1", "smtp; 550 5.7.1 Recipient address rejected: Access denied"),
            ("5.4.1", "smtp; 550 5.4.1 No answer from host 5.1.1.20"),
            ("5.1.8", "smtp; 550 5.1.8 Domain not found"),
            ("5.1.0", "smtp; 550 5.1.0 Sender address rejected: User unknown in virtual mailbox table"),
            ("5.0.0", "smtp; 550 Requested action not taken"),
            ("5.3.4", "smtp; 552 5.3.4 Message size exceeds fixed limit"),
            ("", ""),
        ],
    )
    def test_a_reason_that_says_nothing_of_the_address(self, status: str, diagnostic: str) -> None:
        (found,) = read_reports(delivery_status(status=status, diagnostic=diagnostic))

        assert found.outcome == Outcome.LOST

    @pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "", "5.1.1"])
    def test_good_news_is_no_bounce(self, action: str) -> None:
        assert read_reports(delivery_status(action=action)) == []

    def test_the_internationalised_form_is_read_too(self) -> None:
        raw = sample("postfix_unknown", "<1.a@example.org>")
        raw = raw.replace(b"message/delivery-status", b"message/global-delivery-status")
        raw = raw.replace(b"message/rfc822", b"message/global")

        (found,) = read_reports(raw)

        assert (found.message_ids[0], found.outcome) == ("<1.a@example.org>", Outcome.BAD_ADDRESS)

    def test_a_report_inside_of_a_returned_message_is_not_the_servers_word(self) -> None:
        inner = sample("postfix_unknown", "<1.a@example.org>")
        forged = b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n" + inner

        assert read_reports(forged) == []

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\0" * 1000,
            b"Subject: Takk for sist!\n\nHei",
            b"Content-Type: multipart/report; report-type=delivery-status\n\nno parts",
            b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n"
            + b"\n" * 9999,
            b"Content-Type: multipart/report; boundary*0*=x'\xff\n\n--x\n",
            b"Content-Type: message/rfc822\n\n" * 9000,
            b"".join(b'Content-Type: multipart/report; boundary="%d"\n\n--%d\n' % (i, i) for i in range(5000)),
            b"x" * (10 * LONGEST),
        ],
        ids=["empty", "NUL", "mail", "no parts", "blank", "charset", "nested", "deep", "huge"],
    )
    def test_what_is_no_report_is_none(self, raw: bytes) -> None:
        assert read_reports(raw) == []

    def test_one_made_of_so_many_parts_that_reading_takes_long_is_not_read(self) -> None:
        raw = sample("postfix_unknown", "<1.a@example.org>")
        nested = b"".join(b'\n--x%d\nContent-Type: multipart/mixed; boundary="x%d"\n' % (i, i + 1) for i in range(20))

        assert len(read_reports(raw)) == 1
        assert read_reports(raw + nested) == []

    def test_no_damage_to_a_report_raises(self) -> None:
        dice = random.Random(4)
        for name in sorted(file.stem for file in SAMPLES.glob("*.eml")):
            whole = bytearray(sample(name, "<1.a@example.org>"))
            for _ in range(150):
                damaged = whole.copy()
                for _ in range(dice.randrange(1, 30)):
                    start = dice.randrange(len(damaged))
                    damaged[start : start + dice.randrange(4)] = dice.randbytes(dice.randrange(4))

                assert len(read_reports(bytes(damaged[: dice.randrange(len(damaged))]))) <= 10

    def test_the_addresses_of_a_report_are_few(self) -> None:
        group = b"\nFinal-Recipient: rfc822; liv@example.org\nAction: failed\nStatus: 5.1.1\n"
        raw = sample("postfix_unknown", "<1.a@example.org>").replace(b"\nFinal-Recipient", group * 500 + b"\nFinal-R")

        assert len(read_reports(raw)) <= 11


def delivery_status(*, action: str = "failed", status: str = "5.1.1", diagnostic: str = "") -> bytes:
    return (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n"
        "--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.org\n\n"
        f"Final-Recipient: rfc822; liv@example.org\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: {diagnostic}\n\n--x--\n"
    ).encode()


class TestCommand:
    @pytest.fixture
    def pipe(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
        """Hand a message to the command on standard input, and return what it prints."""

        def run(raw: bytes) -> str:
            out = io.StringIO()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
            call_command("record_bounce", stdout=out)
            return out.getvalue()

        return run

    @pytest.mark.django_db
    @pytest.mark.parametrize("name", ["postfix_unknown", "exchange_not_found", "gmail_forwarded"])
    def test_a_bounce_is_recorded(
        self, sent: Notification, kari: User, pipe: Callable[[bytes], str], name: str
    ) -> None:
        shown = pipe(sample(name, sent.message_id))

        sent.refresh_from_db()
        assert shown == "Recorded.\n"
        assert sent.status == "failed"
        assert sent.error.startswith("came back: 550")
        assert "@" not in sent.error
        assert marked() == [("email", "liv@example.org")]
        assert told() == [("kari", "M0")]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("raw", "line"),
        [
            (b"Subject: Hei\n\nHei", "Not recorded: this is no delivery status notification (RFC 3464)."),
            (sample("postfix_unknown", FORGED_ID.format(pk=1)), "Not recorded: it is about no message"),
        ],
        ids=["mail", "forged"],
    )
    def test_anything_else_ends_with_one_line(self, pipe: Callable[[bytes], str], raw: bytes, line: str) -> None:
        with pytest.raises(CommandError) as error:
            pipe(raw)

        assert error.value.returncode == 1
        assert str(error.value).startswith(line)
        assert "\n" not in str(error.value)

    @pytest.mark.processes
    @pytest.mark.django_db(transaction=True)
    def test_a_mail_servers_pipe_gets_an_exit_code_and_a_line(self, sent: Notification, kari: User) -> None:
        bounce = sample("postfix_unknown", sent.message_id)
        forged = sample("postfix_unknown", FORGED_ID.format(pk=sent.pk))
        no_database = live_environment() | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"}

        done = [run_pipe(bounce), run_pipe(bounce), run_pipe(forged), run_pipe(bounce, env=no_database)]

        assert [process.returncode for process in done] == [0, 0, 1, os.EX_TEMPFAIL]
        assert done[0].stdout == b"Recorded.\n"
        assert all(process.stderr.count(b"\n") == 1 for process in done[2:])
        assert not any(b"liv@" in process.stdout + process.stderr for process in done)
        assert marked() == [("email", "liv@example.org")]
        assert told() == [("kari", "M0")]


def run_pipe(raw: bytes, *, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = (env or live_environment()) | {"LOG_LEVEL": "ERROR"}
    command = [sys.executable, "manage.py", "record_bounce"]
    return subprocess.run(command, cwd=PROJECT, env=environment, input=raw, capture_output=True, check=False)


def postmark_bounce(message_id: str, **changes: Any) -> dict[str, Any]:
    """Return what Postmark posts for a bounce, as its documentation shows it."""
    return {
        "RecordType": "Bounce",
        "MessageStream": "outbound",
        "ID": 4323372036854775807,
        "Type": "HardBounce",
        "TypeCode": 1,
        "Name": "Hard bounce",
        "Tag": "",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {"message_id": message_id},
        "ServerID": 23,
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "smtp;550 5.1.1 <liv@example.org>: Recipient address rejected: User unknown",
        "Email": "liv@example.org",
        "From": "nattevakt@example.org",
        "BouncedAt": "2026-11-21T11:00:54.9070259Z",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "Likepersonkurs",
    } | changes


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(secret.encode()).decode()


@pytest.mark.django_db
class TestWebhook:
    URL = "/anymail/postmark/tracking/"

    @pytest.fixture(autouse=True)
    def mounted(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.notifications.test_bounces"
        settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}

    def post(self, event: dict[str, Any], *, secret: str | None = SECRET) -> int:
        headers = {"Authorization": basic(secret)} if secret else {}
        return Client(headers=headers).post(self.URL, json.dumps(event), content_type="application/json").status_code

    @pytest.mark.parametrize(
        ("changes", "status", "error", "is_marked"),
        [
            ({}, "failed", "came back: smtp;550 5.1.1 <…>: Recipient address rejected: User unknown", True),
            ({"Type": "BadEmailAddress", "Details": None}, "failed", "came back: The server was unable", True),
            ({"Type": "SoftBounce", "Details": "Mailbox unavailable"}, "failed", "came back: Mailbox", False),
            ({"Type": "HardBounce", "Details": "smtp;552 5.2.2 full"}, "failed", "came back: smtp;552", False),
            ({"Type": "Blocked", "Details": "spam"}, "failed", "came back: spam", False),
            ({"Type": "SMTPApiError", "Details": ""}, "failed", "came back: The server", False),
            ({"Type": "Transient"}, "sent", "", False),
            ({"Type": "AutoResponder"}, "sent", "", False),
            ({"RecordType": "Delivery"}, "sent", "", False),
            (
                {"RecordType": "SpamComplaint", "Type": "SpamComplaint"},
                "sent",
                "unwanted: the reader reported a message as spam",
                True,
            ),
        ],
    )  # fmt: skip
    def test_what_postmark_reports_is_recorded(
        self, sent: Notification, kari: User, changes: dict[str, Any], status: str, error: str, is_marked: bool
    ) -> None:
        answer = self.post(postmark_bounce(sent.message_id, **changes))

        sent.refresh_from_db()
        assert answer == 200
        assert sent.status == status
        assert sent.error.startswith(error)
        assert bool(sent.error) is bool(error)
        assert bool(marked()) is is_marked
        assert told() == ([("kari", "M0")] if is_marked else [])

    def test_a_repeated_report_tells_once(self, sent: Notification, kari: User) -> None:
        answers = [self.post(postmark_bounce(sent.message_id)) for _ in range(2)]

        assert answers == [200, 200]
        assert told() == [("kari", "M0")]

    @pytest.mark.parametrize("secret", [None, "postmark:guessed", "postmark"])
    def test_without_the_secret_nothing_is_believed(self, sent: Notification, secret: str | None) -> None:
        answer = self.post(postmark_bounce(sent.message_id), secret=secret)

        sent.refresh_from_db()
        assert answer == 400
        assert (sent.status, marked()) == ("sent", [])

    @pytest.mark.parametrize(
        "changes",
        [
            {"Metadata": {"message_id": FORGED_ID}},
            {"Metadata": {"message_id": 7}},
            {"Metadata": {}},
            {"Metadata": {"message_id": ""}},
            {"Email": "kari@example.org"},
            {"Email": None},
        ],
    )
    def test_what_is_about_no_message_of_ours_does_nothing(
        self, sent: Notification, kari: User, changes: dict[str, Any]
    ) -> None:
        answer = self.post(postmark_bounce(sent.message_id, **changes))

        sent.refresh_from_db()
        assert answer == 200
        assert (sent.status, marked()) == ("sent", [])

    def test_other_providers_and_incoming_mail_are_not_let_in(self) -> None:
        client = Client(headers={"Authorization": basic(SECRET)})

        answers = [client.head(f"/anymail/{path}/").status_code for path in ("mailgun/tracking", "postmark/inbound")]

        assert answers == [404, 404]
        assert client.head(self.URL).status_code == 200


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_with_a_provider_in_the_environment_its_webhook_is_served(sent: Notification, kari: User) -> None:
    body = postmark_bounce(sent.message_id)

    with web(EMAIL_PROVIDER="postmark", ANYMAIL_POSTMARK_SERVER_TOKEN="t", ANYMAIL_WEBHOOK_SECRET=SECRET) as address:
        url = f"{address}/anymail/postmark/tracking/"
        refused = requests.post(url, json=body, timeout=20)
        taken = requests.post(url, json=body, timeout=20, headers={"Authorization": basic(SECRET)})

    assert (refused.status_code, taken.status_code) == (400, 200)
    assert marked() == [("email", "liv@example.org")]
    assert told() == [("kari", "M0")]


class TestOtherProviders:
    """Each in its own words, through django-anymail's own reader of them."""

    def read(self, view: Any, event: dict[str, Any]) -> Report | None:
        return read_event(view().esp_to_anymail_event(event))

    @pytest.fixture(autouse=True)
    def secret(self, settings: Any) -> None:
        settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET, "MAILGUN_API_KEY": "k"}

    @pytest.mark.parametrize(
        ("event", "reason", "outcome"),
        [
            ("hard_bounce", "550-5.1.1 No such user", Outcome.BAD_ADDRESS),
            ("hard_bounce", "", Outcome.BAD_ADDRESS),
            ("soft_bounce", "", Outcome.LOST),
            ("soft_bounce", "452 4.2.2 mailbox full", Outcome.LOST),
            ("invalid_email", "", Outcome.BAD_ADDRESS),
            ("blocked", "", Outcome.LOST),
            ("spam", "", Outcome.UNWANTED),
            ("error", "", Outcome.LOST),
        ],
    )
    def test_brevo(self, event: str, reason: str, outcome: Outcome) -> None:
        found = self.read(
            brevo.BrevoTrackingWebhookView,
            {
                "event": event,
                "email": "liv@example.org",
                "id": 26224,
                "date": "2026-11-21 12:00:54",
                "ts_event": 1795258854,
                "ts_epoch": 1795258854000,
                "message-id": "<201811210454.1@smtp-relay.mailin.fr>",
                "X-Mailin-custom": '{"message_id": "<1.a@example.org>"}',
                "reason": reason,
                "subject": "Likepersonkurs",
            },
        )

        assert found is not None
        assert (found.message_ids, found.addresses) == (("<1.a@example.org>",), ("liv@example.org",))
        assert found.outcome == outcome

    @pytest.mark.parametrize(
        ("severity", "reason", "message", "outcome"),
        [
            ("permanent", "bounce", "No such user", Outcome.BAD_ADDRESS),
            ("permanent", "generic", "5.1.1 The account does not exist", Outcome.BAD_ADDRESS),
            ("permanent", "generic", "5.7.1 Blocked", Outcome.LOST),
            ("permanent", "suppress-bounce", "Not delivering to previously bounced address", Outcome.BAD_ADDRESS),
            ("temporary", "generic", "4.2.2 full", None),
        ],
    )
    def test_mailgun(self, severity: str, reason: str, message: str, outcome: Outcome | None) -> None:
        found = self.read(
            mailgun.MailgunTrackingWebhookView,
            {
                "signature": {"timestamp": "1795258854", "token": "t", "signature": "s"},
                "event-data": {
                    "event": "failed",
                    "severity": severity,
                    "reason": reason,
                    "id": "G9Bn5sl1TC6nu79C8C0bwg",
                    "timestamp": 1795258854.0,
                    "recipient": "liv@example.org",
                    "delivery-status": {"code": 550, "message": message, "description": ""},
                    "message": {"headers": {"message-id": "1.a@example.org"}},
                    "user-variables": {"message_id": "<1.a@example.org>"},
                    "tags": [],
                },
            },
        )

        assert (found.outcome if found else None) == outcome

    def test_what_a_provider_has_on_its_own_list_is_a_bad_address(self) -> None:
        event = SimpleNamespace(
            event_type="rejected", reject_reason="unsubscribed", recipient="liv@example.org", description=None,
            mta_response=None, metadata={"message_id": "<1.a@example.org>"}, esp_event=None,
        )  # fmt: skip

        found = read_event(event)

        assert found is not None
        assert (found.outcome, found.reason) == (Outcome.BAD_ADDRESS, "unsubscribed")

    @pytest.mark.parametrize("metadata", [None, [], "text", {"message_id": None}])
    def test_a_provider_that_does_not_carry_the_message_id_is_not_guessed_at(self, metadata: Any) -> None:
        event = SimpleNamespace(
            event_type="bounced", reject_reason="bounced", recipient="liv@example.org", description=None,
            mta_response=None, metadata=metadata, esp_event=None, message_id="<1.a@example.org>",
        )  # fmt: skip

        assert read_event(event) is None


class TestSettings:
    def found(self) -> set[str | None]:
        return {message.id for message in checks.run_checks(databases=[]) if (message.id or "").startswith("nattevakt")}

    @pytest.mark.parametrize(
        ("provider", "anymail", "ids"),
        [
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": "a:b"}, set()),
            ("postmark", {"WEBHOOK_SECRET": "a:b"}, {"nattevakt.E010"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t"}, {"nattevakt.E011"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": "nocolon"}, {"nattevakt.E011"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": ":"}, {"nattevakt.E011"}),
            ("amazon_ses", {"WEBHOOK_SECRET": "a:b"}, {"nattevakt.E010"}),  # its library is not installed
            ("", {}, set()),
        ],
    )
    def test_a_provider_has_what_it_needs(
        self, settings: Any, provider: str, anymail: dict[str, str], ids: set[str]
    ) -> None:
        settings.EMAIL_PROVIDER = provider
        settings.ANYMAIL = anymail
        if provider:
            settings.EMAIL_BACKEND = f"anymail.backends.{provider}.EmailBackend"

        assert self.found() == ids

    def settings_with(self, **environment: str) -> subprocess.CompletedProcess[str]:
        code = (
            "import json; from django.conf import settings as s;"
            "print(json.dumps([s.EMAIL_PROVIDER, s.EMAIL_BACKEND, s.ANYMAIL]))"
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_the_variables_that_begin_with_anymail_are_its_settings(self) -> None:
        done = self.settings_with(
            EMAIL_PROVIDER="mailgun",
            ANYMAIL_MAILGUN_API_KEY="key",
            ANYMAIL_WEBHOOK_SECRET="a:b",
            ANYMAIL_MAILGUN_API_URL="",
            ANYMAIL_DEBUG_API_REQUESTS="false",
        )

        provider, backend, anymail = json.loads(done.stdout)
        assert (provider, backend) == ("mailgun", "anymail.backends.mailgun.EmailBackend")
        assert anymail == {
            "MAILGUN_API_KEY": "key",
            "WEBHOOK_SECRET": "a:b",
            "DEBUG_API_REQUESTS": False,
            "IGNORE_UNSUPPORTED_FEATURES": True,
            "REQUESTS_TIMEOUT": 30,
        }

    @pytest.mark.parametrize("provider", ["pigeon", "console", "test", "base", "Postmark"])
    def test_a_provider_that_is_none_is_refused_by_name(self, provider: str) -> None:
        done = self.settings_with(EMAIL_PROVIDER=provider)

        assert done.returncode == 1
        assert 'Environment variable "EMAIL_PROVIDER" invalid' in done.stderr

    def test_no_organisation_can_take_the_address(self) -> None:
        assert "anymail" in RESERVED_SLUGS
