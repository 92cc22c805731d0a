"""When runs begin: on schedule, by hand, or made up later.

The four names that the views, the commands and the tasks call: `schedule_nightly_run`, `execute_expiry_check`,
`on_run_complete`, `on_run_error`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from time import sleep
from uuid import UUID

import structlog

from cronjobs import dispatch, nightly
from cronjobs.dry_run import make_dry_run
from cronjobs.hooks import on_run_complete, on_run_error
from cronjobs.models import Action, CronJob, Run
from cronjobs.retry import retry_failed
from cronjobs.schedules import missed_slots
from cronjobs.schedules.causes import why_not_run
from cronjobs.schedules.jobs import CronJobExists, CronJobValues, change_cron_job, create_cron_job
from cronjobs.work import work_batch
from mentors.models import Organisation
from mentors.record_text import EMPTY

__all__ = ["execute_expiry_check", "on_run_complete", "on_run_error", "schedule_nightly_run"]

log = structlog.get_logger(__name__)

EXPIRY_ACTIONS = (Action.PAUSE, Action.RESUME)
# Beat gets this long to fire a slot itself; a run that begins later is a night made up.
BEAT_DELAY = timedelta(minutes=3)


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
        run, _due = make_dry_run(
            organisation=organisation, cron_job=cron_job, on=on, actions=actions, requested_by=requested_by, now=now
        )
        run.save(force_insert=True)
        return run
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


def execute_owed_slot(job: CronJob, *, until: datetime, now: datetime) -> Run | None:
    """Run the newest slot up to `until` that has no run, unless it is too old by now; keep the others as missed.

    Returns None if there is nothing to run, as after another beat, or for a job that is switched off.
    """
    owed = missed_slots.unclaimed_slots(job, until=until) if job.enabled else []
    if not owed:
        return None
    *older, newest = owed
    if now - newest > timedelta(hours=job.organisation.catch_up_hours):
        older.append(newest)
    missed_slots.record_missed(job, older, now=now)
    return None if newest in older else execute_slot(job, slot=newest, now=now)


def execute_slot(job: CronJob, *, slot: datetime, now: datetime) -> Run | None:
    """Run a slot of a job, or return None if it has its run already. One that is late is made up, and says why.

    Its day is the slot's, also when it is made up after midnight: what is no longer true today is not done (rule 8).
    """
    is_late = now - slot >= BEAT_DELAY
    try:
        run = nightly.claim_run(
            organisation=job.organisation,
            cron_job=job,
            scheduled_for=slot,
            business_date=job.organisation.local_date(slot),
            trigger=Run.Trigger.CATCH_UP if is_late else Run.Trigger.SCHEDULE,
            cause=why_not_run(job, slot, now=now) if is_late else EMPTY,
            now=now,
        )
    except nightly.SlotTaken:
        return None
    if is_late:
        log.warning(
            "making up a missed slot", event_name="slot_caught_up", run_id=str(run.pk), cause=run.cause.in_english()
        )
    return start_run(run, now=now)


def start_run(run: Run, *, now: datetime) -> Run:
    """Plan a claimed run and send its subtasks; one with nothing to do is closed at once."""
    run = nightly.plan_run(run.pk, now=now)
    dispatch.send_batches(run.pk, nightly.batches(run, now=now))
    if nightly.close_run(run.pk, now=now):
        run.refresh_from_db()
    return run


def approve(run_id: UUID, *, by: str, now: datetime) -> Run:
    """Let a held run go on, and send its subtasks. Raises RunNotHeld or BrokerUnavailable."""
    run = nightly.approve_run(run_id, by=by)
    dispatch.send_batches(run.pk, nightly.batches(run, now=now))
    return run


def retry(run_id: UUID, *, now: datetime) -> Run:
    """Try the failed items of a closed run again, through the workers.

    Raises RunAlreadyOpen, NothingToRetry or BrokerUnavailable.
    """
    run = retry_failed(run_id, now=now)
    dispatch.send_batches(run.pk, nightly.batches(run, now=now))
    return run
