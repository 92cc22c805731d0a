"""One night: claim, plan, fan out, close (docs/rules.md, one night).

    claim_run ── a row, unique by slot and alone in its organisation: a second beat, a second press get no run
    plan_run ─── what is due into the ledger; held when it would pause too many
    batches ──── the mentors of the pending items, one subtask each, coalesced on a big night
    close_run ── when nothing is pending: the books must balance

Every step may be repeated at any time, by anybody: the sweep does just that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from time import monotonic
from typing import ClassVar
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from certifications.lapses_on import repair_lapses_on
from cronjobs import record_text
from cronjobs.after_close import conclude
from cronjobs.hooks import on_run_claimed, result_of
from cronjobs.ledger import check_business_date, count_items, plan_items
from cronjobs.models import Action, CronJob, Run, RunItem, missed_by_a_wrong_clock
from cronjobs.records.retention import check_not_pruned
from cronjobs.release import release_unheard
from cronjobs.work import Batch
from mentors.conflicts import ConflictError
from mentors.models import Mentor, Organisation
from mentors.record_text import EMPTY, RecordText, verbatim
from notifications.models import Notification
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

ALL_ACTIONS = (Action.PAUSE, Action.RESUME, Action.REMIND)


class RunAlreadyOpen(ConflictError):
    """Another run of the organisation is still open."""

    code = "run_is_open"
    messages: ClassVar[dict[Run.Status, StrPromise]] = {
        Run.Status.PLANNED: _(
            "Run %(run)s of %(organisation)s for %(date)s is still planned: wait until it is closed."
        ),
        Run.Status.RUNNING: _(
            "Run %(run)s of %(organisation)s for %(date)s is still running: wait until it is closed."
        ),
        Run.Status.HELD: _(
            "Run %(run)s of %(organisation)s for %(date)s is still held: "
            "look at it (a dry run shows it), then approve or reject it."
        ),
    }

    def __init__(self, run: Run) -> None:
        self.run = run
        names = {"run": run.pk, "organisation": run.organisation.slug, "date": run.business_date}
        super().__init__(self.messages[Run.Status(run.status)] % names, id=run.pk)


class SlotTaken(Exception):
    """The slot has its run already: another beat or the sweep was first."""


class RunNotHeld(ConflictError):
    """Only a held run waits for a decision; this one has been decided on, or never was held."""

    code = "run_not_held"
    message = _("Run %(run)s is not held: there is nothing to approve or reject.")

    def __init__(self, run_id: UUID) -> None:
        super().__init__(self.message % {"run": run_id}, id=run_id)


def claim_run(
    *,
    organisation: Organisation,
    business_date: date,
    trigger: Run.Trigger,
    now: datetime,
    cron_job: CronJob | None = None,
    scheduled_for: datetime | None = None,
    actions: Sequence[Action] = ALL_ACTIONS,
    approved: bool = False,
    requested_by: str = "",
    cause: RecordText = EMPTY,
) -> Run:
    """Insert the run that this caller alone may start, or say who was first.

    A held run is closed by the next scheduled night, which plans its items anew, and by a run that a person has
    approved. Raises RunAlreadyOpen or SlotTaken, or ValidationError for a day out of range or pruned.
    """
    check_business_date(business_date)
    check_not_pruned(organisation, on=business_date)
    run = Run(
        organisation=organisation,
        cron_job=cron_job,
        business_date=business_date,
        scheduled_for=scheduled_for,
        trigger=trigger,
        actions=list(actions),
        approved=approved,
        requested_by=requested_by,
        cause=cause,
        created_at=now,
        code_version=settings.CODE_VERSION,
    )
    while not _insert_claim(run, now=now):
        if _slot_is_taken(run):
            raise SlotTaken
        if open_run := Run.objects.open().filter(organisation=organisation).first():
            raise RunAlreadyOpen(open_run)
        # The run that was in the way has been closed just now.
    on_run_claimed(result_of(run))
    return run


# What says that somebody else was first.
CLAIMS = ("cronjobs_run_pkey", "run_slot_is_claimed_once", "run_is_alone_in_its_organisation")


def _insert_claim(run: Run, *, now: datetime) -> bool:
    retired: list[UUID] = []
    try:
        # Together: no held run is closed without its successor. Durable: whoever is told of the claim can rely on it.
        with transaction.atomic(durable=True):
            if run.cron_job_id and run.scheduled_for:
                run.pk = Run.new_ids(run.cron_job_id, [run.scheduled_for])[run.scheduled_for]
            # A clock that was ahead wrote it down as missed before it came: now it is run.
            Run.objects.filter(missed_by_a_wrong_clock(now=now), pk=run.pk).delete()
            if _slot_is_taken(run):
                return False
            if run.approved or run.trigger != Run.Trigger.MANUAL:
                retired = _retire_held_runs(run.organisation, successor=run, now=now)
            run.save(force_insert=True)
    except IntegrityError as error:
        if not any(name in str(error) for name in CLAIMS):
            raise
        return False
    for run_id in retired:
        conclude(run_id, now=now)
    return True


def _slot_is_taken(run: Run) -> bool:
    slot = Run.objects.filter(cron_job=run.cron_job, scheduled_for=run.scheduled_for)
    return run.scheduled_for is not None and slot.exists()


def plan_run(run_id: UUID, *, now: datetime) -> Run:
    """Write what is due into the ledger and set the run to work, or hold it. A run planned before is left as it is.

    An error while planning closes the run as failed, and is raised again; only when the database itself gave up (a
    deadlock, a restart) does the run stay planned, for the sweep to plan it once more.
    """
    began = monotonic()
    release_unheard(now=now)
    try:
        with transaction.atomic():
            run, is_new = _plan(run_id, now=now)
    except OperationalError:
        raise
    except Exception as error:
        message = verbatim(f"{type(error).__name__}: {error}"[:2000])
        # Another process may have planned it meanwhile.
        planned = Run.objects.filter(pk=run_id, status=Run.Status.PLANNED)
        if planned.update(status=Run.Status.FAILED, finished_at=now, error=message):
            run = Run.objects.select_related("organisation").get(pk=run_id)
            _warn_of_failure(run, now=now)
            conclude(run_id, now=now, error=error)
        raise
    if is_new:
        log.info(
            "run planned",
            event_name="run_planned",
            run_id=str(run_id),
            status=run.status,
            counts=run.counts,
            seconds=round(monotonic() - began, 3),
        )
    return run


def _plan(run_id: UUID, *, now: datetime) -> tuple[Run, bool]:
    """Return the run, and whether it was planned here and now."""
    run = Run.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=run_id)
    if run.status != Run.Status.PLANNED:
        return run, False
    run.repaired = repair_lapses_on(run.organisation)  # before the finders believe it
    for action in run.actions:
        planned, already_handled = plan_items(run, action=Action(action), now=now)
        run.counts[action] = {"planned": planned, "done": 0, "skipped": 0, "failed": 0}
        run.already_handled += already_handled
    run.status = Run.Status.RUNNING
    run.started_at = now
    if not run.approved:
        _brake(run, now=now)
    run.save(update_fields=["counts", "already_handled", "repaired", "status", "started_at"])
    return run, True


def _brake(run: Run, *, now: datetime) -> None:
    """Hold a run that would pause more than the organisation allows: rather a false alarm than an empty page."""
    organisation = run.organisation
    would_pause = run.counts.get(Action.PAUSE, {}).get("planned", 0)
    if would_pause <= organisation.brake_minimum:
        return
    active = Mentor.objects.of(organisation).active().count()
    limit = organisation.brake_limit(active)
    if would_pause <= limit:
        return
    run.status = Run.Status.HELD
    get_notification_service().warn(
        organisation=organisation,
        kind=Notification.Kind.HELD,
        key=f"held:{run.pk}",
        facts={"would_pause": would_pause, "active": active, "limit": limit},
        now=now,
        run_id=run.pk,
    )


def batches(run: Run, *, now: datetime, count_attempt_first: bool = False) -> Iterator[Batch]:
    """Yield the subtasks for what is due: one mentor each, coalesced so that there are at most NIGHTLY_MAX_SUBTASKS."""
    due = RunItem.objects.due(now=now).filter(run=run)
    if run.status == Run.Status.HELD:
        due = due.exclude(action=Action.PAUSE)
    mentor_ids = list(due.order_by("mentor_id").values_list("mentor_id", flat=True).distinct())
    size = -(-len(mentor_ids) // settings.NIGHTLY_MAX_SUBTASKS)
    for start in range(0, len(mentor_ids), size or 1):
        yield Batch(mentor_ids=mentor_ids[start : start + size], count_attempt_first=count_attempt_first)


def close_run(run_id: UUID, *, now: datetime) -> bool:
    """Close the run if none of its items is pending, and do what follows; return whether this call closed it.

    The books must balance: planned = done + skipped + failed, by action.
    """
    if not _close(run_id, now=now):
        return False
    conclude(run_id, now=now)
    return True


def _close(run_id: UUID, *, now: datetime) -> bool:
    if RunItem.objects.pending().filter(run=run_id).exists():
        return False
    with transaction.atomic():
        run = Run.objects.select_related("organisation").select_for_update(of=("self",)).get(pk=run_id)
        if run.status != Run.Status.RUNNING or RunItem.objects.pending().filter(run=run).exists():
            return False
        _balance(run)
        run.finished_at = now
        run.save(update_fields=["counts", "status", "error", "finished_at"])
        get_notification_service().summarise(organisation=run.organisation, run_id=run.pk, now=now)
        if run.failed:
            _warn_of_failure(run, now=now)
    return True


def _balance(run: Run) -> None:
    """Count the ledger against the plan, and set the run's status by it."""
    for action, counted in count_items(run).items():
        planned = run.counts[action]["planned"]
        run.counts[action] = {"planned": planned, **{key: counted[key] for key in ("done", "skipped", "failed")}}
        if planned != counted["done"] + counted["skipped"] + counted["failed"]:
            run.error += record_text.UNBALANCED(planned=planned, action=action, counted=counted)
    done = sum(count["done"] for count in run.counts.values())
    if run.failed:
        run.error += record_text.ITEMS_FAILED(count=run.failed)
    if not run.error:
        run.status = Run.Status.SUCCEEDED
    else:
        run.status = Run.Status.PARTIAL if done or not run.failed else Run.Status.FAILED


def _warn_of_failure(run: Run, *, now: datetime) -> None:
    get_notification_service().warn(
        organisation=run.organisation,
        kind=Notification.Kind.FAILED,
        key=f"failed:{run.pk}",
        facts={"failed": run.failed},
        now=now,
        run_id=run.pk,
    )


def approve_run(run_id: UUID, *, by: str) -> Run:
    """Let a held run pause after all, and keep who said so; the caller sends out its batches. Raises RunNotHeld."""
    held = Run.objects.filter(pk=run_id, status=Run.Status.HELD)
    if not held.update(status=Run.Status.RUNNING, approved=True, approved_by=by):
        raise RunNotHeld(run_id)
    log.info("run approved", event_name="run_approved", run_id=str(run_id))
    return Run.objects.select_related("organisation").get(pk=run_id)


def reject_run(run_id: UUID, *, by: str, reason: str, now: datetime) -> None:
    """Skip what a held run would still do, with who decided so and why, and close it. Raises RunNotHeld."""
    _close_held_run(run_id, reason=record_text.REJECTED(by=by, said=reason), now=now)
    log.info("run rejected", event_name="run_rejected", run_id=str(run_id))
    conclude(run_id, now=now)


def _close_held_run(run_id: UUID, *, reason: RecordText, now: datetime) -> None:
    with transaction.atomic():
        held = Run.objects.filter(pk=run_id, status=Run.Status.HELD)
        if not held.update(status=Run.Status.RUNNING, error=reason):
            raise RunNotHeld(run_id)
        RunItem.objects.pending().filter(run=run_id).update(status=RunItem.Status.SKIPPED, outcome=reason, at=now)
    _close(run_id, now=now)


def _retire_held_runs(organisation: Organisation, *, successor: Run, now: datetime) -> list[UUID]:
    """Close what is held, and return the ids; what follows the close is for after the commit."""
    retired = []
    for held in Run.objects.filter(organisation=organisation, status=Run.Status.HELD):
        with suppress(RunNotHeld):  # another claim has retired it just now
            _close_held_run(held.pk, reason=record_text.TAKEN_OVER(run=successor.pk), now=now)
            retired.append(held.pk)
    return retired
