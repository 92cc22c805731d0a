"""The sweep: every few minutes, whatever was lost on the way is taken up again from the database.

1. A run that was claimed but not planned, because its worker died, is planned.
2. A run at work whose ledger has not moved for NIGHTLY_STUCK_SECONDS has its pending items sent out again.
3. A run with nothing pending is closed.
4. A slot that has come and has no run is made up: the newest if it is not too old, the others are kept as missed. Those
   of a job that is switched off are kept as missed, each as it passes.
5. Messages left in `sending` are queued again, and delivery is nudged when something is due.

Every step is harmless when there is nothing to do, and when two sweeps meet.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Max

from cronjobs import after_close, dispatch, nightly, starting
from cronjobs.models import CronJob, Run
from cronjobs.schedules import missed_slots
from notifications import claims, delivery
from notifications import dispatch as delivery_queue

log = structlog.get_logger(__name__)


def sweep(*, now: datetime) -> None:
    """Take up whatever was lost (steps 1–5). What fails for one run or job is logged and does not stop the others."""
    for run in Run.objects.open().select_related("organisation", "cron_job"):
        _isolated(recover_run, run, now=now)
    for job in CronJob.objects.select_related("organisation"):
        _isolated(make_up_missed_slots if job.enabled else record_paused_slots, job, now=now)
    for run in Run.objects.not_concluded():
        _isolated(conclude_run, run, now=now)
    claims.free_stuck(now=now)
    delivery_queue.deliver_after_commit(workers=delivery.workers_wanted(now=now))


def _isolated(step: Callable[..., None], subject: Run | CronJob, *, now: datetime) -> None:
    try:
        step(subject, now=now)
    except nightly.RunAlreadyOpen as error:
        log.info("slot waits for an open run", event_name="slot_waits", run_id=str(error.run.pk))
    except Exception as error:
        # A sweep that stopped here would leave the next organisation's night undone.
        log.error("sweep step failed", event_name="sweep_failed", step=step.__name__, error=type(error).__name__)


def recover_run(run: Run, *, now: datetime) -> None:
    """Plan, close or send out again an open run that has not moved by itself."""
    if nightly.close_run(run.pk, now=now):
        return
    if last_moved_at(run) > now - timedelta(seconds=settings.NIGHTLY_STUCK_SECONDS):
        return
    if run.status == Run.Status.PLANNED:
        log.warning("planning a run again", event_name="run_replanned", run_id=str(run.pk))
        starting.start_run(run, now=now)
    elif left := list(nightly.batches(run, now=now, count_attempt_first=True)):
        log.warning("sending a run out again", event_name="run_resent", run_id=str(run.pk), batches=len(left))
        Run.objects.filter(pk=run.pk).update(resent_at=now)
        dispatch.send_batches(run.pk, left)


def conclude_run(run: Run, *, now: datetime) -> None:
    """Do what follows a closed run, if its worker died before it could."""
    after_close.conclude(run.pk, now=now)


def last_moved_at(run: Run) -> datetime:
    """Return when the run's ledger last changed or was sent out, or will change by itself (a retry that waits)."""
    moved_at: datetime | None = run.items.aggregate(moved_at=Max("at"))["moved_at"]
    return max(filter(None, (run.created_at, run.started_at, run.resent_at, moved_at)))


def make_up_missed_slots(job: CronJob, *, now: datetime) -> None:
    """Run the newest slot that nobody ran, if it is not older than the organisation allows; keep the others."""
    starting.execute_owed_slot(job, until=now - starting.BEAT_DELAY, now=now)


def record_paused_slots(job: CronJob, *, now: datetime) -> None:
    """Write down the slots that passed while the job was switched off, with who did that and why."""
    missed_slots.record_missed(job, missed_slots.unclaimed_slots(job, until=now), now=now)
