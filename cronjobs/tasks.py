"""The tasks of the night: ids in, one call. What they are for stands in the modules they call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from celery import Task, shared_task
from django.utils import timezone
from structlog.contextvars import bind_contextvars

from certifications import roster_uploads
from cronjobs import cron, dispatch, heartbeats, nightly, starting, sweep
from cronjobs.models import Component, CronJob, Run
from cronjobs.monitoring import incidents
from cronjobs.records import retention
from cronjobs.work import Batch, work_batch
from mentors.accounts import access, second_factor, security_trail
from mentors.clock import CLOCKS_IN_STEP

log = structlog.get_logger(__name__)


@shared_task(name="cronjobs.nightly", ignore_result=False)
def run_slot(cron_job_id: int) -> str | None:
    """Run the newest slot of the job; beat calls it. Return the run's id, or None if the slot had its run."""
    now = timezone.now()
    heartbeats.record_heartbeat(
        Component.WORKERS, now=now
    )  # first: a slot that comes late must know until when there was no worker
    job = CronJob.objects.select_related("organisation").filter(pk=cron_job_id).first()
    if job is None:
        log.info("job removed", event_name="job_removed", cron_job=cron_job_id)  # since beat sent it
        return None
    until = now + CLOCKS_IN_STEP
    slot = cron.latest_slot(job.cron_expression, job.timezone, now=until)
    if slot is None:
        return None
    bind_contextvars(run_id=str(Run.id_of_slot(job.pk, slot)))
    run = starting.execute_owed_slot(job, until=until, now=now)
    if run is None:
        log.info("slot taken", event_name="slot_taken", cron_job=job.pk, slot=str(slot))
        return None
    return str(run.pk)


@shared_task(name="cronjobs.work_items", bind=True)
def work_items(self: Task[Any, Any], run_id: str, mentor_ids: list[int], count_attempt_first: bool = False) -> None:
    """Do what is due for these mentors in the run; a message delivered again may have killed its worker."""
    bind_contextvars(run_id=run_id)
    redelivered = bool((self.request.delivery_info or {}).get("redelivered"))
    batch = Batch(mentor_ids=mentor_ids, count_attempt_first=count_attempt_first or redelivered)
    left = work_batch(run_id=UUID(run_id), batch=batch, now=timezone.now())
    dispatch.send_batches(UUID(run_id), left)
    nightly.close_run(UUID(run_id), now=timezone.now())


@shared_task(name="cronjobs.sweep")
def sweep_up() -> None:
    """Take up whatever was lost on the way; beat calls it every few minutes."""
    now = timezone.now()
    heartbeats.record_heartbeat(
        Component.WORKERS, now=now
    )  # here, and not in the sweep, which the watchdog does when no worker does
    incidents.report_sweep(sweep.sweep(now=now), now=timezone.now())
    incidents.look(now=timezone.now())  # so that a dead watchdog is told of, and a place without one is watched too


@shared_task(name="cronjobs.prune")
def prune() -> None:
    """Remove records and security events that are older than they are kept, and what is of no use any more.

    Beat calls it once a day.
    """
    now = timezone.now()
    retention.prune(now=now)
    access.clear_expired(now=now)
    second_factor.encrypt_anew()
    security_trail.prune_events(now=now)
    roster_uploads.forget_old_uploads(now=now)
