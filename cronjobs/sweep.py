"""The sweep: every few minutes, whatever was lost on the way is taken up again from the database.

1. A run that was claimed but not planned, because its worker died, is planned.
2. A run at work whose ledger has not moved for NIGHTLY_STUCK_SECONDS has its pending items sent out again.
3. A run with nothing pending is closed.
4. A slot that has come and has no run is made up: the newest if it is not too old, the others are kept as missed. Those
   of a job that is switched off are kept as missed, each as it passes.
5. Reminders that were not told after all give their keys back.
6. Messages left in `sending` are queued again, and delivery is nudged when something is due.

Every step is harmless when there is nothing to do, and when two sweeps meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import Max

from cronjobs import after_close, dispatch, nightly, release, starting
from cronjobs.models import CronJob, Run
from cronjobs.schedules import missed_slots
from mentors.clock import latest_believed
from mentors.models import Organisation
from notifications import claims, delivery
from notifications import dispatch as delivery_queue

log = structlog.get_logger(__name__)

# The database or the broker is away or gave up: that is told as such, and the next sweep comes in two minutes.
TRANSIENT = (OperationalError, InterfaceError, dispatch.BrokerUnavailable)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What the sweep could not do, and why: operations are told (`monitoring/incidents.py`)."""

    step: str  # and of what
    error: str
    organisation: Organisation | None = None


def sweep(*, now: datetime) -> list[Failure]:
    """Take up whatever was lost (steps 1–6). Return what failed: for one run or job, it does not stop the others."""
    failures: list[Failure] = []
    for run in Run.objects.open().select_related("organisation", "cron_job"):
        failures += _isolated(recover_run, run, now=now)
    for job in CronJob.objects.select_related("organisation"):
        failures += _isolated(make_up_missed_slots if job.enabled else record_paused_slots, job, now=now)
    for run in Run.objects.not_concluded().select_related("organisation"):
        failures += _isolated(conclude_run, run, now=now)
    failures += _isolated(release.release_unheard, now=now)
    return failures + _isolated(nudge_delivery, now=now)


def _isolated(step: Callable[..., object], *subject: Run | CronJob, now: datetime) -> list[Failure]:
    try:
        step(*subject, now=now)
    except nightly.RunAlreadyOpen as error:
        log.info("slot waits for an open run", event_name="slot_waits", run_id=str(error.run.pk))
    except Exception as error:
        # A sweep that stopped here would leave the next organisation's night undone.
        name, kind = step.__name__, type(error).__name__
        log.error("sweep step failed", event_name="sweep_failed", step=name, error=kind)
        if not isinstance(error, TRANSIENT):
            about = [f"{type(each).__name__} {each.pk}" for each in subject]
            organisation = subject[0].organisation if subject else None
            return [Failure(step=" ".join([name, *about]), error=kind, organisation=organisation)]
    return []


def recover_run(run: Run, *, now: datetime) -> None:
    """Plan, close or send out again an open run that has not moved by itself."""
    if nightly.close_run(run.pk, now=now):
        return
    if last_moved_at(run, now=now) > now - timedelta(seconds=settings.NIGHTLY_STUCK_SECONDS):
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


def last_moved_at(run: Run, *, now: datetime) -> datetime:
    """Return when the run's ledger last changed or was sent out, or will change by itself (a retry that waits).

    A time that lies further ahead was written by a wrong clock, and counts for nothing.
    """
    latest = latest_believed(now=now, ahead=timedelta(seconds=settings.VISIBILITY_TIMEOUT_SECONDS))
    moved_at: datetime | None = run.items.filter(at__lte=latest).aggregate(moved_at=Max("at"))["moved_at"]
    times = (run.created_at, run.started_at, run.resent_at, moved_at)
    return max((at for at in times if at and at <= latest), default=datetime.min.replace(tzinfo=UTC))


def nudge_delivery(*, now: datetime) -> None:
    """Queue again the messages that a dead worker left, and have what is due delivered."""
    claims.free_stuck(now=now)
    delivery_queue.deliver_after_commit(workers=delivery.workers_wanted(now=now))


def make_up_missed_slots(job: CronJob, *, now: datetime) -> None:
    """Run the newest slot that nobody ran, if it is not older than the organisation allows; keep the others."""
    starting.execute_owed_slot(job, until=now - starting.BEAT_DELAY, now=now)


def record_paused_slots(job: CronJob, *, now: datetime) -> None:
    """Write down the slots that passed while the job was switched off, with who did that and why."""
    missed_slots.record_missed(job, missed_slots.unclaimed_slots(job, until=now), now=now)
