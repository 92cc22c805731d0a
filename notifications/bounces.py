"""Addresses from which messages come back: marked, so that nothing more is sent there, and somebody is told.

Some hosts refuse at once, and delivery calls `mark_bad`. Others take a message and send a report later, by mail or by a
provider's webhook. Anybody can write such a report. It counts only with the Message-ID of a message that was sent, half
of which nobody can guess, and with the address to which that message went: so nobody can mark another one's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.db import transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from mentors.models import CoordinatorRole, Mentor, Organisation, User
from mentors.record_text import RecordText
from notifications import record_text
from notifications.bounce_reports import DeliveryReport, Outcome, read_event
from notifications.channels import CHANNELS, EMAIL, OPERATIONS
from notifications.claims import keep_unheard
from notifications.messages.context import gather, read_notifications
from notifications.models import BadAddress, Notification, Webhook
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

MAIL_CHANNELS = (EMAIL, OPERATIONS)
MESSAGE_ID = re.compile(r"<([0-9]{1,18})\.[0-9a-f-]{36}@[^@<>\s]+>")  # as notifications/delivery.py makes it
ANY_EMAIL = re.compile(r"[^\s<>@]+@[^\s<>@,;:]+")
# What stands on a mentor's record for a channel, whatever she chose.
ON_RECORD = {EMAIL: "email__iexact", "sms": "phone"}

SAID = {
    Outcome.DELAYED: record_text.DELAYED,
    Outcome.LOST: record_text.CAME_BACK,
    Outcome.BAD_ADDRESS: record_text.CAME_BACK,
    Outcome.UNWANTED: record_text.UNWANTED,
}


@transaction.atomic
def mark_bad(channel: str, address: str, *, reason: str, now: datetime) -> None:
    """Mark the address as bad, and tell those who can find a better one; a second report does nothing.

    The address of operations is never marked: it must work again as soon as somebody has mended it.
    """
    if not CHANNELS[channel].is_personal:
        log.error("messages to operations come back", event_name="operations_unreachable", channel=channel)
        return
    bad, is_new = BadAddress.objects.get_or_create(
        channel=channel, address=address.lower(), defaults={"reason": _anonymous(reason, address), "at": now}
    )
    if not is_new:
        return
    log.warning("address marked as bad", event_name="address_marked_bad", bad_address_id=bad.pk, channel=channel)
    _tell_of_mentors(bad, now=now)
    _tell_of_coordinators(bad, now=now)


@transaction.atomic
def mark_app_gone(organisation: Organisation, *, now: datetime) -> None:
    """Send nothing more to the organisation's app, which answered that it is gone, and tell operations once."""
    webhook: Webhook | None = getattr(organisation, "webhook", None)
    if webhook is None:
        return
    # With the address that answered: somebody may have written another one meanwhile.
    asked = Webhook.objects.filter(pk=webhook.pk, url=webhook.url, gone_at=None)
    if not asked.update(gone_at=now):
        return
    log.warning("app is gone", event_name="app_gone", organisation=organisation.slug, webhook_id=webhook.pk)
    get_notification_service().warn(
        organisation=organisation,
        kind=Notification.Kind.APP_GONE,
        key=f"app_gone:{webhook.pk}:{now.isoformat()}",
        facts={"host": urlsplit(webhook.url).hostname or ""},
        now=now,
    )


@transaction.atomic
def record_bounce(report: DeliveryReport, *, now: datetime) -> bool:
    """Note what a report says of a message that was sent; return whether it is one of ours.

    What was given up has not been delivered, for whatever reason, and becomes a dead letter that can be sent again. The
    address is marked as bad only if the next message would come back as well.
    """
    row = _find(report.message_ids)
    if row is None:
        return False
    address = CHANNELS[row.channel].address_of(gather([row], now=now)[0].recipient)
    if not address or address.lower() not in {reported.lower() for reported in report.addresses}:
        log.warning("a report names another address", event_name="bounce_of_other", notification_id=row.pk)
        return False
    reason = _anonymous(report.reason, address)
    note = SAID[report.outcome](reason=reason)
    if row.error == note:  # said before; and somebody may have removed the mark since
        return True
    _note(row, report.outcome, note, now=now)
    if report.outcome in {Outcome.BAD_ADDRESS, Outcome.UNWANTED}:
        mark_bad(row.channel, address, reason=reason, now=now)
    return True


def record_event(event: Any, **_signal: Any) -> None:
    """Take what a provider reports, from django-anymail's signal."""
    if report := read_event(event):
        record_bounce(report, now=timezone.now())


def _find(message_ids: Iterable[str]) -> Notification | None:
    for message_id in message_ids:
        if match := MESSAGE_ID.fullmatch(message_id):
            rows = read_notifications().select_for_update(of=("self",))
            row: Notification | None = rows.filter(pk=int(match[1]), channel__in=MAIL_CHANNELS).first()
            if row is not None and constant_time_compare(row.message_id, message_id):
                return row
    return None


def _note(row: Notification, outcome: Outcome, note: RecordText, *, now: datetime) -> None:
    log.warning("message reported", event_name="message_reported", notification_id=row.pk, outcome=outcome.name.lower())
    rows = Notification.objects.filter(pk=row.pk)
    if outcome in {Outcome.DELAYED, Outcome.UNWANTED}:
        rows.filter(status=Notification.Status.SENT).update(error=note)
        return
    # A report may be faster than the worker that writes down that the message has left. One that is queued was
    # refused before, or somebody sends it again: what becomes of that is not known yet.
    left = (Notification.Status.SENDING, Notification.Status.SENT, *Notification.DEAD_LETTERS)
    rows.filter(status__in=left).update(
        status=Notification.Status.FAILED,
        error=note,
        next_attempt_at=None,
        sent_at=Coalesce("sent_at", Value(now)),
    )
    keep_unheard([row.pk])


def _tell_of_mentors(bad: BadAddress, *, now: datetime) -> None:
    reached = Q(preference__channel=bad.channel, preference__address__iexact=bad.address)
    if field := ON_RECORD.get(bad.channel):
        reached |= Q(**{field: bad.address})
    mentors = Mentor.objects.filter(reached).exclude(status=Mentor.Status.ENDED)
    for mentor in mentors.select_related("organisation").order_by("pk"):
        tell_of_mentor(bad, mentor, now=now)


def tell_of_mentor(bad: BadAddress, mentor: Mentor, *, now: datetime) -> None:
    """Tell the coordinators of a mentor, once, that she has a bad address; it may have become hers since."""
    get_notification_service().tell_coordinators(
        Notification.Kind.BOUNCED,
        mentor_id=mentor.pk,
        organisation=mentor.organisation,
        key=f"bounced:{bad.pk}:{mentor.pk}",
        facts={"reason": bad.reason},
        now=now,
    )


def _tell_of_coordinators(bad: BadAddress, *, now: datetime) -> None:
    """Warn operations and the organisation-wide coordinators, except herself."""
    reached = Q(preference__channel=bad.channel, preference__address__iexact=bad.address)
    if bad.channel == EMAIL:
        reached |= Q(email__iexact=bad.address)
    for user in User.objects.filter(reached, is_active=True).order_by("pk"):
        looks_after = CoordinatorRole.objects.filter(user=user, duty=CoordinatorRole.Duty.COORDINATOR)
        for organisation in Organisation.objects.filter(pk__in=looks_after.values("organisation")):
            get_notification_service().warn(
                organisation=organisation,
                kind=Notification.Kind.BOUNCED,
                key=f"bounced:{bad.pk}:user:{user.pk}:{organisation.pk}",
                facts={"reason": bad.reason, "name": user.get_full_name() or user.username},
                now=now,
                leave_out=user,
            )


def _anonymous(reason: str, address: str) -> str:
    """Return the reason in one line that PostgreSQL takes and that names no address."""
    words = "".join(rendered if rendered.isprintable() else " " for rendered in reason[:2000])
    words = ANY_EMAIL.sub("…", re.sub(re.escape(address), "…", words, flags=re.IGNORECASE))
    if local := address.partition("@")[0]:
        words = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "…", words, flags=re.IGNORECASE)
    return " ".join(words.split())[:500] or "no reason given"
