"""One message for much: what stands in a coordinator's inbox and was told by no other message yet.

A summary is written when a run is closed, for coordinators who want one a run, or one a week. The rows of the inbox
that it holds point to it, so that each is in exactly one, whatever is written meanwhile; what happened by day is among
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Max, Min

from mentors.models import Organisation
from notifications.channels import INBOX
from notifications.models import Notification, Preference
from notifications.outbox import Outbox
from notifications.recipients import coordinators

# A week, and some nights that were missed. What is older was told in its time, or nobody wanted to be told.
LOOKS_BACK = timedelta(days=15)

PUT_INTO_SUMMARIES = """
    UPDATE notifications_notification told
    SET digest_id = summary.id
    FROM notifications_notification summary
    WHERE summary.dedupe_key = ANY(%(keys)s)
      AND told.recipient_user_id = summary.recipient_user_id AND told.organisation_id = summary.organisation_id
      AND told.channel = 'inbox' AND told.digest_id IS NULL AND NOT told.told_by_itself
      AND told.created_at > %(since)s AND told.id < summary.id
"""


def write_summaries(*, organisation: Organisation, run_id: UUID, now: datetime) -> None:
    """Write a summary for each coordinator who wants one now and was told something since the last."""
    untold = Notification.objects.filter(
        organisation=organisation,
        channel=INBOX,
        digest=None,
        told_by_itself=False,
        created_at__gt=now - LOOKS_BACK,
        about__isnull=False,
    )
    firsts = dict(untold.order_by().values_list("recipient_user").annotate(first=Min("pk")))
    outbox = Outbox(organisation=organisation, now=now, run_id=run_id)
    for coordinator in coordinators(organisation, firsts):
        if coordinator.mail == Preference.Mail.DIGEST:
            # A row is the first of one summary only: this is written once, and a retry of the run writes another.
            kind, key = Notification.Kind.DIGEST, f"digest:{firsts[coordinator.user_id]}"
        elif coordinator.mail == Preference.Mail.WEEKLY:
            year, week, _day = organisation.local_time(now).isocalendar()
            kind, key = Notification.Kind.WEEKLY, f"weekly:{organisation.pk}:{year}-{week}"
        else:
            continue
        outbox.add(
            kind, coordinator.channel, key, {}, language=coordinator.language, recipient_user_id=coordinator.user_id
        )
    written = Notification.objects.filter(dedupe_key__in=[row["dedupe_key"] for row in outbox.rows])
    before = set(written.values_list("dedupe_key", flat=True))
    outbox.write()
    if keys := list({row["dedupe_key"] for row in outbox.rows} - before):
        with connection.cursor() as cursor:
            cursor.execute(PUT_INTO_SUMMARIES, {"keys": keys, "since": now - LOOKS_BACK})


def paused_by_run(run_id: UUID) -> Iterable[tuple[int, int, list[int]]]:
    """Return whom the run paused, as (coordinator's user id, chapter's id, mentors' ids).

    A run that was retried names whom it has paused since it was last closed.
    """
    in_inboxes = Notification.objects.filter(run_id=run_id, channel=INBOX).order_by()
    named = in_inboxes.filter(kind=Notification.Kind.HANDOVER).aggregate(newest=Max("pk"))["newest"] or 0
    told = in_inboxes.filter(kind=Notification.Kind.PAUSE, pk__gt=named)
    return told.values_list("recipient_user", "about__chapter").annotate(paused=ArrayAgg("about", distinct=True))
