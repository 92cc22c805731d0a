"""The sweep: every few minutes, whatever was lost on the way is taken up again from the database.

1. A run that was claimed but not planned, because its worker died, is planned.
2. A run at work whose ledger has not moved for NIGHTLY_STUCK_SECONDS has its pending items sent out again.
3. A run with nothing pending is closed.
4. A slot that has come and has no run is made up: the newest if it is not too old, the others are kept as missed.
5. Messages left in `sending` are queued again, and delivery is nudged when something is due.
6. A run that is open for longer than its job's `alert_after_minutes` is reported, once.

Every step is harmless when there is nothing to do, and when two sweeps meet.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Max

from cronjobs import cron, nightly, queue, schedule
from cronjobs.models import CronJob, Run
from notifications import delivery
from notifications import queue as delivery_queue
from notifications.models import Notification
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

# Beat gets this long to fire a slot itself.
BEAT_DELAY = timedelta(minutes=3)


def sweep(*, now: datetime) -> None:
    """Take up whatever was lost (steps 1–6). What fails for one run or job is logged and does not stop the others."""
    for run in Run.objects.open().select_related("organisation", "cron_job"):
        _isolated(take_up, run, now=now)
    for job in CronJob.objects.filter(enabled=True).select_related("organisation"):
        _isolated(make_up_missed_slots, job, now=now)
    delivery.free_stuck(now=now)
    delivery_queue.deliver_after_commit(workers=delivery.workers_wanted(now=now))


def _isolated(step: Callable[..., None], subject: Run | CronJob, *, now: datetime) -> None:
    try:
        step(subject, now=now)
    except nightly.RunAlreadyOpen as error:
        log.info("slot waits for an open run", event_name="slot_waits", run_id=str(error.run.pk))
    except Exception as error:
        # A sweep that stopped here would leave the next organisation's night undone.
        log.error("sweep step failed", event_name="sweep_failed", step=step.__name__, error=type(error).__name__)


def take_up(run: Run, *, now: datetime) -> None:
    """Plan, close or send out again an open run that has not moved by itself, and report one that is late."""
    if run.status != Run.Status.HELD:
        report_if_late(run, now=now)
    if nightly.close_run(run.pk, now=now):
        return
    if last_moved_at(run) > now - timedelta(seconds=settings.NIGHTLY_STUCK_SECONDS):
        return
    if run.status == Run.Status.PLANNED:
        log.warning("planning a run again", event_name="run_replanned", run_id=str(run.pk))
        schedule.start_run(run, now=now)
    elif left := list(nightly.batches(run, now=now, careful=True)):
        log.warning("sending a run out again", event_name="run_resent", run_id=str(run.pk), batches=len(left))
        Run.objects.filter(pk=run.pk).update(resent_at=now)
        queue.send_batches(run.pk, left)


def last_moved_at(run: Run) -> datetime:
    """Return when the run's ledger last changed or was sent out, or will change by itself (a retry that waits)."""
    moved_at: datetime | None = run.items.aggregate(moved_at=Max("at"))["moved_at"]
    return max(filter(None, (run.created_at, run.started_at, run.resent_at, moved_at)))


def make_up_missed_slots(job: CronJob, *, now: datetime) -> None:
    """Run the newest slot that nobody ran, if it is not older than the organisation allows; keep the others."""
    last_run = Run.objects.filter(cron_job=job).aggregate(slot=Max("scheduled_for"))["slot"]
    after = max(last_run or job.slots_from, job.slots_from)
    missed = list(cron.slots(job.cron_expression, job.timezone, after=after, until=now - BEAT_DELAY))
    if not missed:
        return
    *older, newest = missed
    if now - newest > timedelta(hours=job.organisation.catch_up_hours):
        older.append(newest)
    Run.objects.bulk_create([_missed_run(job, slot, now=now) for slot in older], ignore_conflicts=True)
    if newest not in older:
        log.warning("making up a missed slot", event_name="slot_caught_up", cron_job=job.pk, slot=str(newest))
        schedule.execute_slot(job, slot=newest, now=now, trigger=Run.Trigger.CATCH_UP)


def _missed_run(job: CronJob, slot: datetime, *, now: datetime) -> Run:
    return Run(
        organisation=job.organisation,
        cron_job=job,
        scheduled_for=slot,
        business_date=job.organisation.local_date(slot),
        trigger=Run.Trigger.SCHEDULE,
        actions=list(nightly.ALL_ACTIONS),
        status=Run.Status.MISSED,
        error="No run was claimed for this slot while it could still be made up.",
        created_at=now,
        finished_at=now,
        code_version=settings.CODE_VERSION,
    )


def report_if_late(run: Run, *, now: datetime) -> None:
    """Warn about a run that should be closed by now; the message's key lets it be said once."""
    minutes = run.cron_job.alert_after_minutes if run.cron_job else 60
    # A run that is retried hours later starts anew.
    if now - (run.started_at or run.created_at) <= timedelta(minutes=minutes):
        return
    get_notification_service().warn(
        organisation=run.organisation,
        kind=Notification.Kind.LATE,
        key=f"late:{run.pk}",
        facts={},
        now=now,
        run_id=run.pk,
    )
