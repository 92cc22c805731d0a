"""Whose a message is while it is being sent. A worker that stood still sends nothing that is another's by now.

    claim_due ── what is due becomes `sending`, under the claim of one batch and with a lease
    renew ────── right before each message is handed over, by compare-and-set: no row, no send
    mark_sent ── what a host has taken is sent, whoever has the row by now
    put_back, give_up ── anything else that became of it, by the same compare-and-set

From its renewal until the host's answer is known a message is in doubt: a worker that dies in between may have been
heard. It is tried again, under the same Message-ID; if it is given up instead, nobody says that it was not received.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Case, Value, When

from mentors.record_text import RecordText
from notifications import record_text
from notifications.channel import Fault
from notifications.models import Notification

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)

CLAIM = """
    UPDATE notifications_notification
    SET status = 'sending', attempts = attempts + 1, next_attempt_at = %(lease)s, claim = %(claim)s, sent_at = NULL,
        -- Kept before it is sent: what is sent again after a crash is known by it as the same message.
        message_id = COALESCE(NULLIF(message_id, ''), '<' || id || '.' || gen_random_uuid() || %(domain)s)
    WHERE id IN (
        SELECT id FROM notifications_notification
        WHERE status = 'queued' AND next_attempt_at <= %(now)s
        ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    RETURNING id
"""
RENEW = """
    UPDATE notifications_notification SET next_attempt_at = %s, in_doubt = true
    WHERE id = %s AND status = 'sending' AND claim = %s
    RETURNING id
"""
# Not by the claim: a person has it, whoever was to send it next. Unless a report was faster, and says it came back.
SENT = """
    UPDATE notifications_notification
    SET status = 'sent', sent_at = %s, next_attempt_at = NULL, error = '[]', in_doubt = false, left_out = %s
    WHERE id = %s AND sent_at IS NULL
"""
# Of a message to a mentor that has failed: its items, if no coordinator was told of her in that run.
UNHEARD = """
    UPDATE notifications_notification message
    SET left_out = ARRAY(SELECT jsonb_path_query(message.context, '$.events[*].item')::bigint)
    WHERE id = ANY(%s) AND status = 'failed' AND recipient_mentor_id IS NOT NULL AND run_id IS NOT NULL
      AND NOT EXISTS (
        SELECT FROM notifications_notification told
        WHERE told.about_id = message.about_id AND told.run_id = message.run_id AND told.channel = 'inbox'
      )
"""


def claim_due(claim: UUID, *, now: datetime) -> list[int]:
    """Make a batch of what is due the caller's alone; return the ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "now": now,
                "lease": now + LEASE,
                "claim": claim,
                "limit": settings.DELIVERY_BATCH_SIZE,
                "domain": f"@{settings.MESSAGE_ID_DOMAIN}>",
            },
        )
        return sorted(pk for (pk,) in cursor.fetchall())


def renew(row: Notification, *, now: datetime) -> bool:
    """Keep the message for as long as handing it over may take; say whether it still is the caller's."""
    with connection.cursor() as cursor:
        cursor.execute(RENEW, [now + LEASE, row.pk, row.claim])
        is_mine = cursor.fetchone() is not None
    if not is_mine:
        log.warning("message is another's", event_name="claim_lost", notification_id=row.pk)
    return is_mine


def mark_sent(row: Notification, *, now: datetime, left_out: Sequence[int] = ()) -> None:
    """Keep that a host has taken the message, and of which items it said nothing."""
    with connection.cursor() as cursor:
        cursor.execute(SENT, [now, list(left_out), row.pk])


def put_back(row: Notification, *, at: datetime, **changes: Any) -> None:
    """Queue the message again, for then."""
    _mine(row, status=Notification.Status.QUEUED, next_attempt_at=at, in_doubt=row.in_doubt, **changes)


def put_back_untried(row: Notification, *, at: datetime, **changes: Any) -> None:
    """Queue again what was not tried, so that it costs no attempt."""
    put_back(row, at=at, attempts=row.attempts - 1, **changes)


def give_up(
    row: Notification,
    status: Notification.Status,
    reason: RecordText,
    *,
    left_out: Sequence[int] = (),
    fault: Fault = Fault.RECIPIENT,
) -> None:
    """Try the message no more. One that is in doubt may have been received, whatever became of its last attempt."""
    if row.in_doubt:
        status, left_out = Notification.Status.UNCERTAIN, ()
    _mine(
        row,
        status=status,
        error=reason,
        fault=row.fault if row.given_up else fault,  # what closed its first way counts
        next_attempt_at=None,
        in_doubt=row.in_doubt,
        left_out=list(left_out),
        # A coordinator is told by this channel after all, if it happens again; a mentor's key names the run's item.
        **({"dedupe_key": f"{row.dedupe_key}:{row.pk}"} if left_out and row.recipient_user_id else {}),
    )
    keep_unheard([row.pk])
    log.warning("message not sent", event_name="message_not_sent", notification_id=row.pk, status=status)


def free_stuck(*, now: datetime) -> int:
    """Queue again what a dead worker left in `sending`; return how many. What has had its attempts has failed."""
    stuck = Notification.objects.filter(status=Notification.Status.SENDING, next_attempt_at__lte=now)
    lost = stuck.filter(attempts__gte=settings.DELIVERY_MAX_ATTEMPTS)
    ids = list(lost.values_list("pk", flat=True))
    lost.update(
        status=Case(
            When(in_doubt=True, then=Value(Notification.Status.UNCERTAIN)), default=Value(Notification.Status.FAILED)
        ),
        next_attempt_at=None,
        error=record_text.LOST(),
    )
    keep_unheard(ids)
    return stuck.update(status=Notification.Status.QUEUED)


def keep_unheard(ids: Sequence[int]) -> None:
    """Keep, of those that have failed, the items of which nobody heard: they are reminded of again."""
    with connection.cursor() as cursor:
        cursor.execute(UNHEARD, [list(ids)])


def _mine(row: Notification, **changes: Any) -> None:
    mine = Notification.objects.filter(pk=row.pk, status=Notification.Status.SENDING, claim=row.claim)
    mine.update(**changes)
