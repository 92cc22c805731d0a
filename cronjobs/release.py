"""Giving back the keys of reminders that were not told after all.

A reminder is done once its message is written, and the message may wait for the morning. What is no longer true by
then it does not say; or it fails, and no coordinator was told either. The item is skipped after all, so that the stage
is reminded of again if it is true (ADR 7), and its run's record is sealed anew. What is to be released stands in the
messages: it may be done late, by anybody, and twice.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog
from django.db import connection, transaction

from cronjobs import record_text
from cronjobs.models import Action, Run, RunItem
from cronjobs.records import seals
from notifications.models import Notification

log = structlog.get_logger(__name__)

FIND_UNHEARD = """
    SELECT item.run_id, array_agg(item.id)
    FROM notifications_notification message
    JOIN cronjobs_runitem item ON item.id = ANY(message.left_out) AND item.run_id = message.run_id
    JOIN cronjobs_run run ON run.id = item.run_id AND run.concluded_at IS NOT NULL
    WHERE NOT message.left_out = '{}' AND item.action = 'remind' AND item.status = 'done'
      -- A coordinator's counts where the mentor herself was not written to.
      AND (message.recipient_mentor_id IS NOT NULL OR NOT EXISTS (
        SELECT FROM notifications_notification own
        WHERE own.about_id = message.about_id AND own.run_id = message.run_id AND own.recipient_mentor_id IS NOT NULL
      ))
    GROUP BY item.run_id
"""


def release_unheard(*, now: datetime) -> int:
    """Skip the reminders of closed runs of which their messages said nothing; return how many.

    A run that cannot be changed does not stop the others.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIND_UNHEARD)
        found: list[tuple[UUID, list[int]]] = cursor.fetchall()
    released = 0
    for run_id, item_ids in found:
        try:
            released += _release(run_id, item_ids, now=now)
        except Exception as error:
            log.error(
                "keys not given back", event_name="release_failed", run_id=str(run_id), error=type(error).__name__
            )
    return released


@transaction.atomic
def _release(run_id: UUID, item_ids: list[int], *, now: datetime) -> int:
    run = Run.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=run_id)
    if run.concluded_at is None:  # somebody tries its failed items again
        return 0
    unheard = RunItem.objects.filter(run=run, pk__in=item_ids, status=RunItem.Status.DONE)
    released = unheard.update(status=RunItem.Status.SKIPPED, outcome=record_text.NOT_TOLD(), at=now)
    # So that the next search reads what is new, and not all that ever was left out.
    Notification.objects.filter(run_id=run_id, left_out__overlap=item_ids).update(left_out=[])
    if released:
        counts = run.counts[Action.REMIND]
        counts["done"], counts["skipped"] = counts["done"] - released, counts["skipped"] + released
        run.save(update_fields=["counts"])
        seals.seal(run, now=now)
        log.info("keys given back", event_name="keys_given_back", run_id=str(run_id), items=released)
    return released
