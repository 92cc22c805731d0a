"""The tasks of the night: ids in, one call. What they are for stands in the modules they call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import Task, shared_task
from django.utils import timezone

from cronjobs import cron, nightly, queue, schedule, sweep
from cronjobs.models import CronJob
from cronjobs.work import Batch, work_batch


@shared_task(name="cronjobs.nightly", ignore_result=False)
def run_slot(cron_job_id: int) -> str | None:
    """Run the newest slot of the job; beat calls it. Return the run's id, or None if the slot had its run."""
    now = timezone.now()
    job = CronJob.objects.select_related("organisation").get(pk=cron_job_id)
    slot = cron.latest_slot(job.cron_expression, job.timezone, now=now)
    run = schedule.execute_slot(job, slot=slot, now=now) if slot else None
    return str(run.pk) if run else None


@shared_task(name="cronjobs.work_items", bind=True)
def work_items(self: Task[Any, Any], run_id: str, mentor_ids: list[int], careful: bool = False) -> None:
    """Do what is due for these mentors in the run; a message delivered again may have killed its worker."""
    redelivered = bool((self.request.delivery_info or {}).get("redelivered"))
    batch = Batch(mentor_ids=mentor_ids, careful=careful or redelivered)
    left = work_batch(run_id=UUID(run_id), batch=batch, now=timezone.now())
    queue.send_batches(UUID(run_id), left)
    nightly.close_run(UUID(run_id), now=timezone.now())


@shared_task(name="cronjobs.sweep")
def sweep_up() -> None:
    """Take up whatever was lost on the way; beat calls it every few minutes."""
    sweep.sweep(now=timezone.now())
