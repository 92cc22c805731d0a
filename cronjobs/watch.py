"""Is every night in order? Asked of the database alone: it does not matter which of the others is broken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError

from cronjobs.cron import LOOK_AHEAD, slots
from cronjobs.models import CronJob, Run

# Days: most jobs are nightly, some monthly, one may be for 29 February.
LOOK_BACK = (2, 40, LOOK_AHEAD.days)
UNREADABLE = "its cron expression cannot be read"


@dataclass(frozen=True, kw_only=True)
class Night:
    """The last slot of a job that should be closed by now; `fault` says why it is not in order, or nothing."""

    organisation: str
    job: str
    slot: datetime | None
    fault: str = ""


def last_nights(*, now: datetime) -> list[Night]:
    """Return the last due slot of every enabled job: in order if its run was closed green within its time.

    A slot is due once the job's `alert_after_minutes` have passed. A job that was just made has none, and is in order.
    """
    jobs = list(CronJob.objects.filter(enabled=True).select_related("organisation"))
    due, unreadable = {}, set()
    for job in jobs:
        try:
            due[job.pk] = _last_due_slot(job, now=now)
        except ValidationError:  # an edit past the checks; beat cannot read it either
            due[job.pk] = None
            unreadable.add(job.pk)
    runs = Run.objects.filter(cron_job__in=jobs, scheduled_for__in=[slot for slot in due.values() if slot])
    by_slot = {(run.cron_job_id, run.scheduled_for): run for run in runs}
    return [
        Night(
            organisation=job.organisation.slug,
            job=job.name,
            slot=due[job.pk],
            fault=UNREADABLE if job.pk in unreadable else _fault(job, due[job.pk], by_slot.get((job.pk, due[job.pk]))),
        )
        for job in jobs
    ]


def _fault(job: CronJob, slot: datetime | None, run: Run | None) -> str:
    if slot is None:
        return ""
    if run is None:
        return "nobody ran it"
    if run.finished_at is None:
        return f"its run is still {run.status}"
    if run.status != Run.Status.SUCCEEDED:
        return f"its run is {run.status}"
    return "it was closed late" if run.finished_at > slot + _patience(job) else ""


def _last_due_slot(job: CronJob, *, now: datetime) -> datetime | None:
    until = now - _patience(job)
    for days in LOOK_BACK:
        after = max(job.slots_from, until - timedelta(days=days))
        newest = max(slots(job.cron_expression, job.timezone, after=after, until=until), default=None)
        if newest or after == job.slots_from:
            return newest
    return None


def _patience(job: CronJob) -> timedelta:
    return timedelta(minutes=job.alert_after_minutes)
