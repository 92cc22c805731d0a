"""When runs begin: on schedule, by hand, or made up later.

The four names that the views, the commands and the tasks call: `schedule_nightly_run`, `execute_expiry_check`,
`on_run_complete`, `on_run_error`.
"""

from __future__ import annotations

import zoneinfo
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from time import sleep
from typing import Any
from uuid import UUID

import structlog
from celery.schedules import ParseException, crontab
from django.core.exceptions import ValidationError
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from cronjobs import nightly, queue
from cronjobs.hooks import on_run_complete, on_run_error
from cronjobs.models import Action, CronJob, Run
from cronjobs.work import work_batch
from mentors.models import Organisation

__all__ = ["execute_expiry_check", "on_run_complete", "on_run_error", "schedule_nightly_run"]

log = structlog.get_logger(__name__)

EXPIRY_ACTIONS = (Action.PAUSE, Action.RESUME)


@transaction.atomic
def schedule_nightly_run(
    *,
    organisation: Organisation,
    now: datetime,
    name: str = "nightly",
    cron_expression: str = "30 0 * * *",
    timezone: str = "",
    enabled: bool = True,
    pause_note: str = "",
) -> CronJob:
    """Create or change a nightly job; beat takes it up by itself.

    The times are of `timezone`, the organisation's if empty. Raises ValidationError for an expression beat refuses.
    """
    values = {
        "cron_expression": cron_expression,
        "timezone": timezone or organisation.timezone,
        "enabled": enabled,
        "pause_note": pause_note,
    }
    job, _created = CronJob.objects.update_or_create(
        organisation=organisation, name=name, defaults=values, create_defaults=values | {"slots_from": now}
    )
    keep_in_step(job, now=now)
    return job


@transaction.atomic
def keep_in_step(job: CronJob, *, now: datetime) -> None:
    """Give beat the entry that fires the job as it is now; the slots of another schedule are not missed.

    Raises ValidationError for an expression beat refuses.
    """
    parse_cron(job.cron_expression)
    minute, hour, day_of_month, month_of_year, day_of_week = job.cron_expression.split()
    crontab_schedule, _created = CrontabSchedule.objects.get_or_create(
        minute=minute,
        hour=hour,
        day_of_month=day_of_month,
        month_of_year=month_of_year,
        day_of_week=day_of_week,
        timezone=job.timezone,
    )
    before = job.periodic_task
    if before is None or before.crontab_id != crontab_schedule.pk or (job.enabled and not before.enabled):
        job.slots_from = now
    job.periodic_task, _created = PeriodicTask.objects.update_or_create(
        name=f"nightly:{job.pk}",
        defaults={
            "task": "cronjobs.nightly",
            "crontab": crontab_schedule,
            "args": f"[{job.pk}]",
            "enabled": job.enabled,
        },
    )
    job.save(update_fields=["periodic_task", "slots_from"])


@transaction.atomic
def remove_cron_job(job: CronJob) -> None:
    """Remove a job and its beat entry; its runs stay."""
    PeriodicTask.objects.filter(name=f"nightly:{job.pk}").delete()
    job.delete()


def execute_expiry_check(
    *,
    organisation: Organisation,
    now: datetime,
    business_date: date | None = None,
    actions: Sequence[Action] = EXPIRY_ACTIONS,
    approved: bool = False,
    requested_by: str = "",
) -> Run:
    """Run now, for the organisation's today or another day, through the workers.

    Raises RunAlreadyOpen, or BrokerUnavailable when the run is planned but could not be handed out.
    """
    run = nightly.claim_run(
        organisation=organisation,
        business_date=business_date or organisation.local_date(now),
        trigger=Run.Trigger.MANUAL,
        actions=actions,
        approved=approved,
        requested_by=requested_by,
        now=now,
    )
    return start_run(run, now=now)


def execute_here(
    *,
    organisation: Organisation,
    clock: Callable[[], datetime],
    business_date: date,
    actions: Sequence[Action],
    approved: bool = False,
    requested_by: str = "",
    on_progress: Callable[[Run], None] | None = None,
) -> Run:
    """Run now in this process, without the workers: for the night when the broker is down.

    A run that is open already, because it was planned and never handed out, is finished instead.
    """
    try:
        run = nightly.claim_run(
            organisation=organisation,
            business_date=business_date,
            trigger=Run.Trigger.MANUAL,
            actions=actions,
            approved=approved,
            requested_by=requested_by,
            now=clock(),
        )
    except nightly.RunAlreadyOpen as error:
        if error.run.status == Run.Status.HELD or error.run.business_date != business_date:
            raise
        run = error.run
    run = nightly.plan_run(run.pk, now=clock())
    while not nightly.close_run(run.pk, now=clock()):
        todo = deque(nightly.batches(run, now=clock()))
        if not todo and run.status == Run.Status.HELD:
            break
        if not todo:  # what is pending waits for its next attempt, or another process has it
            sleep(0.2)
        while todo:
            # A batch that comes back for later is still in the ledger, and is found there when its time has come.
            left = work_batch(run_id=run.pk, batch=todo.popleft(), now=clock())
            todo.extend(batch for batch in left if not batch.countdown)
            if on_progress:
                on_progress(run)
        run.refresh_from_db()
        if not run.is_open:
            break
    run.refresh_from_db()
    return run


def execute_slot(
    job: CronJob, *, slot: datetime, now: datetime, trigger: Run.Trigger = Run.Trigger.SCHEDULE
) -> Run | None:
    """Run a slot of a job, or return None if it has its run already."""
    try:
        run = nightly.claim_run(
            organisation=job.organisation,
            cron_job=job,
            scheduled_for=slot,
            business_date=job.organisation.local_date(now),
            trigger=trigger,
            now=now,
        )
    except nightly.SlotTaken:
        log.info("slot taken", event_name="slot_taken", cron_job=job.pk, slot=str(slot))
        return None
    return start_run(run, now=now)


def start_run(run: Run, *, now: datetime) -> Run:
    """Plan a claimed run and send its subtasks; one with nothing to do is closed at once."""
    run = nightly.plan_run(run.pk, now=now)
    queue.send_batches(run.pk, nightly.batches(run, now=now))
    if nightly.close_run(run.pk, now=now):
        run.refresh_from_db()
    return run


@dataclass(frozen=True, kw_only=True)
class CronFields:
    """When a cron expression fires, as beat reads it: every field must match. Sunday is 0."""

    minutes: list[int]
    hours: list[int]
    days_of_month: set[int]
    months: set[int]
    days_of_week: set[int]

    def fires_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days_of_month and day.isoweekday() % 7 in self.days_of_week


def approve(run_id: UUID, *, by: str, now: datetime) -> None:
    """Let a held run go on, and send its subtasks."""
    run = nightly.approve_run(run_id, by=by)
    queue.send_batches(run.pk, nightly.batches(run, now=now))


def parse_cron(expression: str) -> CronFields:
    """Read the five fields with beat's own parser. Raises ValidationError with the reason."""
    fields = expression.split()
    if len(fields) != 5:
        raise ValidationError(f"A cron expression has five fields, “{expression}” has {len(fields)}.")
    minute, hour, day_of_month, month_of_year, day_of_week = fields
    try:
        parsed: Any = crontab(
            minute=minute,
            hour=hour,
            day_of_month=day_of_month,
            month_of_year=month_of_year,
            day_of_week=day_of_week,
        )
    except (ParseException, ValueError) as error:
        raise ValidationError(f"“{expression}” is not a cron expression: {error}") from error
    return CronFields(
        minutes=sorted(parsed.minute),
        hours=sorted(parsed.hour),
        days_of_month=parsed.day_of_month,
        months=parsed.month_of_year,
        days_of_week=parsed.day_of_week,
    )


def slots(job: CronJob, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the job's slots with after < slot ≤ until, oldest first, in UTC.

    A local time that a clock change skips moves forward by the gap; one that it repeats counts once, the first time.
    """
    cron = parse_cron(job.cron_expression)
    zone = zoneinfo.ZoneInfo(job.timezone)
    day = after.astimezone(zone).date() - timedelta(days=1)
    while day <= until.astimezone(zone).date():
        if cron.fires_on(day):
            # A skipped time may fall on one that the job names as well, and past another: each moment once, in order.
            moments = {
                datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)
                for hour, minute in product(cron.hours, cron.minutes)
            }
            yield from (slot for slot in sorted(moments) if after < slot <= until)
        day += timedelta(days=1)


def latest_slot(job: CronJob, *, now: datetime) -> datetime | None:
    """Return the newest slot that has come, looking back at most two days."""
    return max(slots(job, after=now - timedelta(days=2), until=now), default=None)
