"""When runs begin: on schedule, by hand, or made up later.

The four names that the views, the commands and the tasks call: `schedule_nightly_run`, `execute_expiry_check`,
`on_run_complete`, `on_run_error`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime
from time import sleep
from typing import Any, TypedDict, Unpack
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from cronjobs import nightly, queue
from cronjobs.hooks import on_run_complete, on_run_error
from cronjobs.ledger import store_dry_run
from cronjobs.models import Action, CronJob, Run
from cronjobs.retry import retry_failed
from cronjobs.work import work_batch
from mentors.models import Organisation
from mentors.refusal import Refusal

__all__ = ["execute_expiry_check", "on_run_complete", "on_run_error", "schedule_nightly_run"]

log = structlog.get_logger(__name__)

EXPIRY_ACTIONS = (Action.PAUSE, Action.RESUME)


class CronJobExists(Refusal):
    """The name of a job is unique in its organisation."""

    code = "cron_job_exists"
    message = _("%(organisation)s has a job “%(name)s” already: change it, or choose another name.")

    def __init__(self, job: CronJob) -> None:
        same = CronJob.objects.filter(organisation=job.organisation, name=job.name).exclude(pk=job.pk)
        super().__init__(
            self.message % {"organisation": job.organisation.slug, "name": job.name},
            id=same.values_list("pk", flat=True).first(),
        )


class CronJobValues(TypedDict, total=False):
    """What may be set of a job."""

    name: str
    cron_expression: str
    timezone: str
    enabled: bool
    pause_note: str
    alert_after_minutes: int


def schedule_nightly_run(
    *,
    organisation: Organisation,
    now: datetime,
    name: str = "nightly",
    cron_expression: str = "30 0 * * *",
    timezone: str = "",
    enabled: bool = True,
    pause_note: str = "",
    alert_after_minutes: int = 60,
) -> CronJob:
    """Create a nightly job, or change the one of this name; beat takes it up by itself.

    The times are of `timezone`, the organisation's if empty. Raises ValidationError for values that are refused.
    """
    values = CronJobValues(
        name=name,
        cron_expression=cron_expression,
        timezone=timezone or organisation.timezone,
        enabled=enabled,
        pause_note=pause_note,
        alert_after_minutes=alert_after_minutes,
    )
    try:
        return create_cron_job(organisation=organisation, now=now, **values)
    except CronJobExists:
        return change_cron_job(CronJob.objects.get(organisation=organisation, name=name), now=now, **values)


@transaction.atomic
def create_cron_job(*, organisation: Organisation, now: datetime, **values: Unpack[CronJobValues]) -> CronJob:
    """Create a job, in the organisation's time zone unless one is given.

    Raises ValidationError by field, or CronJobExists.
    """
    job = CronJob(organisation=organisation, slots_from=now, **values)
    job.timezone = job.timezone or organisation.timezone
    return _save(job, now=now)


@transaction.atomic
def change_cron_job(job: CronJob, *, now: datetime, **changes: Unpack[CronJobValues]) -> CronJob:
    """Change a job and return it as it is now; beat notices within seconds. A switched-off job needs its note.

    Raises ValidationError by field, CronJobExists, or CronJob.DoesNotExist when it was removed meanwhile.
    """
    job = CronJob.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=job.pk)
    for field, value in changes.items():
        setattr(job, field, value)
    return _save(job, now=now)


def _save(job: CronJob, *, now: datetime) -> CronJob:
    job.full_clean(validate_unique=False, validate_constraints=False)  # the constraint itself decides about the name
    try:
        with transaction.atomic():
            job.save()
    except IntegrityError as error:
        raise CronJobExists(job) from error
    keep_in_step(job, now=now)
    return job


@transaction.atomic
def keep_in_step(job: CronJob, *, now: datetime) -> None:
    """Give beat the entry that fires the job as it is now; the slots of another schedule are not missed."""
    minute, hour, day_of_month, month_of_year, day_of_week = job.cron_expression.split()
    times = {
        "minute": minute,
        "hour": hour,
        "day_of_month": day_of_month,
        "month_of_year": month_of_year,
        "day_of_week": day_of_week,
        "timezone": job.timezone,
    }
    # No constraint keeps two alike apart: get_or_create would raise for ever once two jobs were made at the same time.
    crontab_schedule = CrontabSchedule.objects.filter(**times).first() or CrontabSchedule.objects.create(**times)
    entry: dict[str, Any] = {
        "task": "cronjobs.nightly",
        "crontab": crontab_schedule,
        "args": f"[{job.pk}]",
        "enabled": job.enabled,
    }
    before = job.periodic_task
    if before is None or before.crontab_id != crontab_schedule.pk or (job.enabled and not before.enabled):
        job.slots_from = now
        entry["last_run_at"] = now  # or beat would fire at once for a new time that has passed today
    job.periodic_task, _created = PeriodicTask.objects.update_or_create(name=f"nightly:{job.pk}", defaults=entry)
    job.save(update_fields=["periodic_task", "slots_from"])


@transaction.atomic
def remove_cron_job(job: CronJob) -> None:
    """Remove a job and its beat entry; its runs stay."""
    entry = PeriodicTask.objects.filter(name=f"nightly:{job.pk}")
    job.delete()  # first the job and then its entry, in the order in which a change locks them
    entry.delete()


def execute_expiry_check(
    *,
    organisation: Organisation,
    now: datetime,
    cron_job: CronJob | None = None,
    business_date: date | None = None,
    actions: Sequence[Action] = EXPIRY_ACTIONS,
    dry_run: bool = False,
    approved: bool = False,
    requested_by: str = "",
) -> Run:
    """Run now, for the organisation's today or another day, through the workers; a dry run is closed at once.

    Raises ValidationError for a day out of range, RunAlreadyOpen, or BrokerUnavailable when the run is planned but
    could not be handed out.
    """
    on = business_date or organisation.local_date(now)
    if dry_run:
        return store_dry_run(
            organisation=organisation, cron_job=cron_job, on=on, actions=actions, requested_by=requested_by, now=now
        )
    run = nightly.claim_run(
        organisation=organisation,
        cron_job=cron_job,
        business_date=on,
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


def approve(run_id: UUID, *, by: str, now: datetime) -> Run:
    """Let a held run go on, and send its subtasks. Raises RunNotHeld or BrokerUnavailable."""
    run = nightly.approve_run(run_id, by=by)
    queue.send_batches(run.pk, nightly.batches(run, now=now))
    return run


def retry(run_id: UUID, *, now: datetime) -> Run:
    """Try the failed items of a closed run again, through the workers.

    Raises RunAlreadyOpen, NothingToRetry or BrokerUnavailable.
    """
    run = retry_failed(run_id, now=now)
    queue.send_batches(run.pk, nightly.batches(run, now=now))
    return run
