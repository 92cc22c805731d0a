"""What others are told of a run: an extension point (docs/hooks.md). Nothing here can change what the run did.

`settings.RUN_HOOKS` names objects by dotted path: modules, classes or instances, with any of the three functions
below. A hook that fails is logged, and neither the run nor the next hook notices. Hooks are called outside of every
transaction, after the commit of what they are told.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime
from pkgutil import resolve_name
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from cronjobs.models import Run

log = structlog.get_logger(__name__)

EVENTS = ("on_run_claimed", "on_run_complete", "on_run_error")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A run as hooks see it: how it stands, by numbers and slugs, and nothing of any person.

    The run's `error` and `cause` are left out: they may quote a row, or what somebody wrote.
    """

    run_id: UUID
    organisation: str  # its slug
    cron_job_id: int | None
    job: str  # its name
    trigger: str
    status: str
    business_date: date
    scheduled_for: datetime | None  # the slot; none of a run that a person started
    created_at: datetime  # when it was claimed
    started_at: datetime | None
    finished_at: datetime | None
    counts: dict[str, dict[str, int]]  # by action: planned, done, skipped, failed
    deviation: str  # in English
    was_switched_off: bool  # a slot that was missed on purpose: hooks are not told of it
    closing: int  # 1; more when it was closed, retried and closed again

    @property
    def slug(self) -> str:
        """The job's name for those who watch from outside; made of its id, so that it stays when it is renamed."""
        return f"nightly-{self.cron_job_id}" if self.cron_job_id else "by-hand"

    @property
    def is_green(self) -> bool:
        return self.status == Run.Status.SUCCEEDED

    @property
    def is_missed(self) -> bool:
        return self.status == Run.Status.MISSED

    @property
    def failed(self) -> int:
        """How many items failed."""
        return sum(count["failed"] for count in self.counts.values())

    @property
    def seconds(self) -> float | None:
        """How long it took from its claim, or its retry, to its close; none while it is open, and of a missed one."""
        began_at = self.started_at if self.closing > 1 else self.created_at
        if self.is_missed or not began_at or not self.finished_at:
            return None
        return (self.finished_at - began_at).total_seconds()


@dataclass(frozen=True, kw_only=True)
class RunError:
    """A run that is closed and not green, or never ran; `error` is the exception, if one stopped the plan.

    The exception's text may quote a row: its type is for everybody, its text is not.
    """

    result: RunResult
    error: Exception | None = None


def result_of(run: Run, *, closing: int = 1) -> RunResult:
    """Return what hooks are told of a run; its `organisation` and `cron_job` are best selected with it."""
    return RunResult(
        run_id=run.pk,
        organisation=run.organisation.slug,
        cron_job_id=run.cron_job_id,
        job=run.cron_job.name if run.cron_job else "",
        trigger=run.trigger,
        status=run.status,
        business_date=run.business_date,
        scheduled_for=run.scheduled_for,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        counts=deepcopy(run.counts),
        deviation=run.deviation.in_english(),
        was_switched_off=run.was_switched_off,
        closing=closing,
    )


def on_run_claimed(result: RunResult) -> None:
    """Say that a run begins."""
    _call("on_run_claimed", result, result.run_id)


def on_run_complete(result: RunResult) -> None:
    """Say that a run was closed green."""
    _call("on_run_complete", result, result.run_id)


def on_run_error(error: RunError) -> None:
    """Say that a run was closed and not everything was done, or that a slot was missed."""
    _call("on_run_error", error, error.result.run_id)


def find_functions(name: str) -> dict[str, Callable[[Any], None]]:
    """Return the functions of the hook with this dotted path, by event. Raises what its import raises."""
    hook = resolve_name(name)
    return {event: function for event in EVENTS if callable(function := getattr(hook, event, None))}


def _call(event: str, told: RunResult | RunError, run_id: UUID) -> None:
    for name in settings.RUN_HOOKS:
        with structlog.contextvars.bound_contextvars(run_id=str(run_id)):
            try:
                if function := find_functions(name).get(event):
                    function(told)
            except Exception as error:
                # Somebody else's code: whatever it does, the night goes on.
                log.error("a hook failed", event_name="hook_failed", hook=name, on=event, error=type(error).__name__)
