"""Delivering what is queued, outside every transaction that changes a mentor.

1. Defer: what is due while its organisation's sending hours are over waits until they open.
2. Claim: a batch of due rows becomes `sending`, with a lease, and is committed.
3. Check (rule 8): what is no longer true is cancelled with its reason.
4. Send each over the connection that its batch shares, and write down at once what became of it, before the next.

A worker that dies after step 2 leaves rows in `sending`; when their lease is over, `free_stuck` queues them again. One
that dies between the host's answer and step 4's commit has its one message sent again, under the same Message-ID.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from time import monotonic, sleep
from uuid import UUID

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone

from mentors.models import Organisation
from mentors.record_text import EMPTY, RecordText
from notifications import record_text
from notifications.bounces import mark_app_gone, mark_bad, tell_of_mentor
from notifications.channel import Channel, Envelope, Refused, Send, TryLater, Unreachable
from notifications.channels import CHANNELS, EMAIL
from notifications.links import add_secret
from notifications.messages.context import Message, gather, read_notifications
from notifications.messages.payload import payload_of
from notifications.messages.render import render_message
from notifications.models import BadAddress, Notification
from notifications.rates import reserve

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)
LONGEST_PAUSE = timedelta(hours=6)
# So many tasks are begun at a time for what has become due; each goes on by itself while there is more.
MOST_WORKERS = 8
# A batch gives a host up after so many connections in a row that came to nothing.
CONNECTIONS = 2
# Somebody waits for it: it leaves at any hour.
AT_ANY_HOUR = (Notification.Kind.INVITED,)

# Takes out of the messages what is no longer true, and returns why, by id, for those of which nothing is left to say;
# rule 8 is known two floors up.
FindOutdated = Callable[[Sequence[Message]], dict[int, RecordText]]

CLAIM = """
    UPDATE notifications_notification
    SET status = 'sending', attempts = attempts + 1, next_attempt_at = %(lease)s,
        -- Kept before it is sent: what is sent again after a crash is known by it as the same message.
        message_id = COALESCE(NULLIF(message_id, ''), '<' || id || '.' || gen_random_uuid() || %(domain)s)
    WHERE id IN (
        SELECT id FROM notifications_notification
        WHERE status = 'queued' AND next_attempt_at <= %(now)s
        ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    RETURNING id
"""
SENT = """
    UPDATE notifications_notification
    SET status = 'sent', sent_at = %s, next_attempt_at = NULL, error = '[]' WHERE id = %s AND status = 'sending'
"""


def deliver_batch(*, now: datetime, recheck_messages: FindOutdated) -> int:
    """Deliver up to `DELIVERY_BATCH_SIZE` due notifications; return how many were claimed."""
    began = monotonic()
    defer(now=now)
    claimed = _claim(now=now)
    messages = gather(claimed, now=now)
    outdated = recheck_messages(messages)
    bad = _bad_addresses(messages)
    groups: dict[tuple[str, str], deque[tuple[Message, str]]] = defaultdict(deque)
    for message in messages:
        row = message.notification
        address = CHANNELS[row.channel].address_of(message.recipient) if row.channel in CHANNELS else ""
        if row.pk in outdated:
            _give_up(row, Notification.Status.CANCELLED, outdated[row.pk])
        elif not address and row.channel != EMAIL and CHANNELS[EMAIL].address_of(message.recipient):
            # Its channel cannot deliver any more: an app is gone, a gateway was switched off.
            _queue_untried(row, at=now, channel=EMAIL)
        elif not address:
            _give_up(row, Notification.Status.FAILED, record_text.NO_ADDRESS(channel=row.channel))
        elif marked := bad.get((row.channel, address.lower())):
            _give_up(row, Notification.Status.FAILED, record_text.BAD_ADDRESS())
            if row.recipient_mentor:
                tell_of_mentor(marked, row.recipient_mentor, now=now)
        else:
            groups[row.channel, CHANNELS[row.channel].host_of(address)].append((message, address))
    for (code, host), group in groups.items():
        _deliver_group(CHANNELS[code], host, group, now=now)
    _log_outcomes(claimed, seconds=monotonic() - began)
    return len(messages)


def deliver_all(*, now: Callable[[], datetime], recheck_messages: FindOutdated) -> None:
    """Deliver in this process until nothing is due."""
    while deliver_batch(now=now(), recheck_messages=recheck_messages):
        pass


def defer(*, now: datetime) -> None:
    """Let what is due while its organisation's sending hours are over wait until they open (rule 12)."""
    closed: dict[datetime, list[int]] = defaultdict(list)
    for organisation in Organisation.objects.all():
        closed[organisation.next_sending_time(now)].append(organisation.pk)
    closed.pop(now, None)  # those that are open
    at_any_hour = [code for code, channel in CHANNELS.items() if not channel.keeps_hours]
    due = Notification.objects.due(now=now).exclude(channel__in=at_any_hour).exclude(kind__in=AT_ANY_HOUR)
    for opens_at, organisations in closed.items():
        due.filter(organisation__in=organisations).update(next_attempt_at=opens_at)


def free_stuck(*, now: datetime) -> int:
    """Queue again what a dead worker left in `sending`; return how many. What has had its attempts has failed."""
    stuck = Notification.objects.filter(status=Notification.Status.SENDING, next_attempt_at__lte=now)
    stuck.filter(attempts__gte=settings.DELIVERY_MAX_ATTEMPTS).update(
        status=Notification.Status.FAILED, next_attempt_at=None, error=record_text.LOST()
    )
    return stuck.update(status=Notification.Status.QUEUED)


def next_due_at() -> datetime | None:
    """Return when the next message is due; None: nothing waits."""
    at: datetime | None = Notification.objects.filter(status=Notification.Status.QUEUED).aggregate(
        at=Min("next_attempt_at")
    )["at"]
    return at


def workers_wanted(*, now: datetime) -> int:
    """Return how many tasks should take up what is due, besides those that are at it: one a batch, some at most."""
    due = Notification.objects.due(now=now).order_by()[: settings.DELIVERY_BATCH_SIZE * MOST_WORKERS].count()
    return -(-due // settings.DELIVERY_BATCH_SIZE)


def send_again(notifications: Iterable[Notification], *, now: datetime) -> int:
    """Queue dead letters anew, with all their attempts, under the Message-ID they had; return how many there were."""
    queued = 0
    for row in notifications:
        at = row.organisation.next_sending_time(now) if _keeps_hours(row) else now
        failed = Notification.objects.filter(pk=row.pk, status=Notification.Status.FAILED)
        queued += failed.update(status=Notification.Status.QUEUED, attempts=0, next_attempt_at=at)
    return queued


def _keeps_hours(row: Notification) -> bool:
    """Say whether the message waits for its organisation's sending hours (rule 12)."""
    return row.kind not in AT_ANY_HOUR and (row.channel not in CHANNELS or CHANNELS[row.channel].keeps_hours)


def _claim(*, now: datetime) -> list[Notification]:
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "now": now,
                "lease": now + LEASE,
                "limit": settings.DELIVERY_BATCH_SIZE,
                "domain": f"@{settings.MESSAGE_ID_DOMAIN}>",
            },
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    return list(read_notifications().filter(pk__in=ids).order_by("pk")) if ids else []


def _log_outcomes(claimed: Sequence[Notification], *, seconds: float) -> None:
    """Say of each run how many of its messages came to what; `queued` is for later."""
    rows = Notification.objects.filter(pk__in=[row.pk for row in claimed]).order_by("run_id", "status")
    counts: dict[UUID | None, dict[str, int]] = defaultdict(dict)
    for run_id, status, count in rows.values_list("run_id", "status").annotate(Count("pk")) if claimed else ():
        counts[run_id][status] = count
    for run_id, by_status in counts.items():
        log.info(
            "batch delivered",
            event_name="batch_delivered",
            run_id=str(run_id) if run_id else None,
            counts=by_status,
            seconds=round(seconds, 3),
        )


def _bad_addresses(messages: Sequence[Message]) -> dict[tuple[str, str], BadAddress]:
    addresses = {
        CHANNELS[message.notification.channel].address_of(message.recipient).lower()
        for message in messages
        if message.notification.channel in CHANNELS
    }
    marked = BadAddress.objects.filter(address__in=addresses) if addresses else BadAddress.objects.none()
    return {(bad.channel, bad.address): bad for bad in marked}


def _deliver_group(channel: Channel, host: str, group: deque[tuple[Message, str]], *, now: datetime) -> None:
    """Send what the host's rate allows, and queue the rest for when it allows more."""
    reservation = reserve(host, len(group), now=now)
    allowed = deque(islice(group, reservation.count))
    for message, _address in islice(group, reservation.count, None):
        _queue_untried(message.notification, at=reservation.next_at)
    reason, connections = EMPTY, 0
    while allowed and connections < CONNECTIONS:
        try:
            with channel.connect() as send:
                while allowed:
                    sleep(reservation.seconds_until_next())
                    message, address = allowed.popleft()
                    connections = 0 if _send(send, message, address, now=now) else connections
        except Unreachable as error:
            reason, connections = error.reason, connections + 1
    for message, _address in allowed:
        _try_later(message.notification, reason, now=now)


def _send(send: Send, message: Message, address: str, *, now: datetime) -> bool:
    """Send one and write down what became of it; return whether it left. Raises Unreachable, for those after it."""
    row = message.notification
    try:
        send(_envelope(message, address))
    except Refused as error:
        _refuse(row, address, error, now=now)
    except Unreachable as error:
        _try_later(row, error.reason, now=now)
        raise
    except TryLater as error:
        _try_later(row, error.reason, now=now, after=timedelta(seconds=error.after_seconds))
    except SoftTimeLimitExceeded:
        raise  # what is left of the batch is queued again when its lease is over
    except Exception as error:
        # One message's trouble must not stop the batch; the row keeps it, without the address, and is tried again.
        log.error("message broke", event_name="message_broke", notification_id=row.pk, error=type(error).__name__)
        _try_later(row, record_text.BROKE(error=type(error).__name__), now=now)
    else:
        with connection.cursor() as cursor:
            cursor.execute(SENT, [now, row.pk])
        return True
    return False


def _envelope(message: Message, address: str) -> Envelope:
    row = message.notification
    message.links = add_secret(message.links, row)
    rendered = render_message(message)
    return Envelope(
        address=address,
        rendered=rendered,
        sender=row.organisation.name,
        message_id=row.message_id,
        written_at=timezone.now(),
        secret=message.recipient.app_secret,
        unsubscribe_url=message.links.preference if message.is_summary else "",
        payload=partial(payload_of, message, rendered),
    )


def _refuse(row: Notification, address: str, error: Refused, *, now: datetime) -> None:
    _give_up(row, Notification.Status.FAILED, error.reason)
    if error.bad_address:
        mark_bad(row.channel, address, reason=error.reason.in_english(), now=now)
    if error.host_is_gone:
        mark_app_gone(row.organisation, now=now)


def _try_later(row: Notification, reason: RecordText, *, now: datetime, after: timedelta = timedelta()) -> None:
    if row.attempts >= settings.DELIVERY_MAX_ATTEMPTS:
        _give_up(row, Notification.Status.FAILED, record_text.GIVEN_UP(attempts=row.attempts, reason=reason))
        return
    pause = min(timedelta(seconds=settings.DELIVERY_RETRY_SECONDS * 2 ** (row.attempts - 1)), LONGEST_PAUSE)
    # With jitter, or what failed together would come back together.
    at = now + max(pause * random.uniform(0.75, 1.25), after)  # noqa: S311
    if _keeps_hours(row):
        at = row.organisation.next_sending_time(at)
    Notification.objects.filter(pk=row.pk, status=Notification.Status.SENDING).update(
        status=Notification.Status.QUEUED, next_attempt_at=at, error=reason
    )


def _queue_untried(row: Notification, *, at: datetime, **changes: str) -> None:
    """Queue again what was not tried, so that it costs no attempt."""
    Notification.objects.filter(pk=row.pk, status=Notification.Status.SENDING).update(
        status=Notification.Status.QUEUED, next_attempt_at=at, attempts=row.attempts - 1, **changes
    )


def _give_up(row: Notification, status: Notification.Status, reason: RecordText) -> None:
    Notification.objects.filter(pk=row.pk, status=Notification.Status.SENDING).update(
        status=status, error=reason, next_attempt_at=None
    )
    log.warning("message not sent", event_name="message_not_sent", notification_id=row.pk, status=status)
