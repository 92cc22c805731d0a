"""One whole night in this process: claim, plan, work every batch, close."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from cronjobs import nightly
from cronjobs.models import Run, RunItem
from cronjobs.work import work_batch
from mentors.models import Organisation


def noon(on: date) -> datetime:
    """Return noon of the day, UTC: the same day in Oslo."""
    return datetime.combine(on, time(12), tzinfo=UTC)


def plan_night(organisation: Organisation, on: date, *, now: datetime | None = None, **claim: Any) -> Run:
    """Claim and plan a run by hand, and leave its work undone; `claim` are more options of `claim_run`."""
    now = now or noon(on)
    options = {"trigger": Run.Trigger.MANUAL} | claim
    run = nightly.claim_run(organisation=organisation, business_date=on, now=now, **options)
    return nightly.plan_run(run.pk, now=now)


def work_night(run: Run, *, now: datetime | None = None) -> Run:
    """Work all batches of a planned run, the later ones at their time, and close it if nothing is pending."""
    now = now or noon(run.business_date)
    waiting = deque(nightly.batches(run, now=now))
    while waiting:
        batch = waiting.popleft()
        now += timedelta(seconds=batch.countdown)
        waiting.extend(work_batch(run_id=run.pk, batch=batch, now=now))
    nightly.close_run(run.pk, now=now)
    run.refresh_from_db()
    return run


def run_night(
    organisation: Organisation,
    on: date,
    *,
    now: datetime | None = None,
    in_between: Callable[[], object] | None = None,
    **claim: Any,
) -> Run:
    """Run one night to its end; `in_between` happens after the plan and before the work."""
    run = plan_night(organisation, on, now=now, **claim)
    if in_between:
        in_between()
    return work_night(run, now=now)


def outcomes(run: Run) -> list[tuple[str, str, str, str]]:
    """Return what became of the run's items, as (action, mentor, status, outcome's codes), by mentor and action."""
    items = RunItem.objects.filter(run=run).order_by("mentor__ref", "action", "id")
    rows = items.values_list("action", "mentor__ref", "status", "outcome")
    return [(action, ref, status, outcome.as_text()) for action, ref, status, outcome in rows]
