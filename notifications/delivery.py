"""Delivering what is queued, outside every transaction that changes a mentor.

1. Claim: a batch of due rows becomes `sending`, with a lease, and is committed.
2. Check (rule 8): what is no longer true is cancelled with its reason.
3. Send each over one connection, and write down at once what became of it.

A worker that dies after step 1 leaves rows in `sending`; when their lease is over, `free_stuck` queues them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from smtplib import SMTPException

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import make_msgid
from django.db import transaction
from django.db.models import F

from notifications.messages import render
from notifications.models import Notification

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)

# Returns why a notification must not leave any more, by id; rule 8 is known two floors up.
FindOutdated = Callable[[Sequence[Notification], datetime], dict[int, str]]


def deliver_batch(*, now: datetime, find_outdated: FindOutdated) -> int:
    """Deliver up to `DELIVERY_BATCH_SIZE` due notifications; return how many were claimed."""
    claimed = _claim(now=now)
    if not claimed:
        return 0
    outdated = find_outdated(claimed, now)
    connection = get_connection()
    with suppress(OSError, SMTPException):  # each message will say for itself why it cannot leave
        connection.open()
    for notification in claimed:
        if notification.pk in outdated:
            _close(notification, Notification.Status.CANCELLED, error=outdated[notification.pk])
        else:
            _send(notification, connection, now=now)
    connection.close()
    return len(claimed)


def deliver_all(*, now: Callable[[], datetime], find_outdated: FindOutdated) -> None:
    """Deliver in this process until nothing is due."""
    while deliver_batch(now=now(), find_outdated=find_outdated):
        pass


def free_stuck(*, now: datetime) -> int:
    """Queue again what a dead worker left in `sending`; return how many. What has had its attempts has failed."""
    stuck = Notification.objects.filter(status=Notification.Status.SENDING, next_attempt_at__lte=now)
    stuck.filter(attempts__gte=settings.DELIVERY_MAX_ATTEMPTS).update(
        status=Notification.Status.FAILED, next_attempt_at=None, error="Its worker never came back."
    )
    return stuck.update(status=Notification.Status.QUEUED)


def _claim(*, now: datetime) -> list[Notification]:
    with transaction.atomic():
        due = Notification.objects.due(now=now).order_by("next_attempt_at").select_for_update(skip_locked=True)
        ids = list(due.values_list("pk", flat=True)[: settings.DELIVERY_BATCH_SIZE])
        Notification.objects.filter(pk__in=ids).update(
            status=Notification.Status.SENDING, attempts=F("attempts") + 1, next_attempt_at=now + LEASE
        )
    rows = Notification.objects.select_related("recipient_user", "recipient_mentor", "organisation", "about")
    claimed = list(rows.filter(pk__in=ids).order_by("pk"))
    for notification in claimed:
        # Kept before it is sent: what is sent again after a crash is known by it as the same message.
        notification.message_id = notification.message_id or make_msgid(domain="nattevakt")
    Notification.objects.bulk_update(claimed, ["message_id"])
    return claimed


def _send(notification: Notification, connection: BaseEmailBackend, *, now: datetime) -> None:
    address = _address(notification)
    if not address:
        _close(notification, Notification.Status.FAILED, error="The recipient has no e-mail address.")
        return
    try:
        subject, body = render(notification)
        headers = {"Message-ID": notification.message_id}
        EmailMessage(subject, body, to=[address], connection=connection, headers=headers).send()
    except SoftTimeLimitExceeded:
        raise  # a server that hangs; what is left of the batch is queued again when its lease is over
    except Exception as error:
        # One recipient's trouble must not stop the batch; the row keeps it, without the address, and is tried again.
        _try_later(notification, type(error).__name__, now=now)
        with suppress(Exception):  # it may be the connection that is broken: the next message gets a new one
            connection.close()
    else:
        _close(notification, Notification.Status.SENT, sent_at=now)


def _address(notification: Notification) -> str:
    if notification.channel == Notification.Channel.OPERATIONS:
        return settings.OPERATIONS_EMAIL
    recipient = notification.recipient_user or notification.recipient_mentor
    return recipient.email if recipient else ""


def _try_later(notification: Notification, error: str, *, now: datetime) -> None:
    if notification.attempts >= settings.DELIVERY_MAX_ATTEMPTS:
        _close(notification, Notification.Status.FAILED, error=error)
        return
    pause = timedelta(seconds=settings.DELIVERY_RETRY_SECONDS * 2 ** (notification.attempts - 1))
    Notification.objects.filter(pk=notification.pk, status=Notification.Status.SENDING).update(
        status=Notification.Status.QUEUED,
        next_attempt_at=now + pause,
        error=error,
        message_id=notification.message_id,
    )


def _close(
    notification: Notification, status: Notification.Status, *, error: str = "", sent_at: datetime | None = None
) -> None:
    Notification.objects.filter(pk=notification.pk, status=Notification.Status.SENDING).update(
        status=status, error=error, sent_at=sent_at, next_attempt_at=None, message_id=notification.message_id
    )
    if status != Notification.Status.SENT:
        log.warning("message not sent", event_name="message_not_sent", notification_id=notification.pk, status=status)
