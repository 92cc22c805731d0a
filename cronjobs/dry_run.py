"""A dry run: the plan of a night for any day, with nothing done. Who was due is planned anew whenever it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime

from django.conf import settings

from cronjobs.ledger import DueItem, show_due_items
from cronjobs.ledger_rows import Rows
from cronjobs.models import Action, CronJob, Run
from mentors.accounts.scope import Scope
from mentors.models import Organisation


def make_dry_run(
    *,
    organisation: Organisation,
    on: date,
    actions: Sequence[Action],
    requested_by: str,
    now: datetime,
    cron_job: CronJob | None = None,
) -> tuple[Run, list[DueItem]]:
    """Return a run that is not saved, and what it would do. Raises ValidationError for a day out of range.

    The run is closed from the first, so it is in nobody's way.
    """
    due = show_due_items(organisation=organisation, actions=actions, on=on, now=now)
    planned = Counter(item.action for item in due)
    run = Run(
        organisation=organisation,
        cron_job=cron_job,
        business_date=on,
        trigger=Run.Trigger.MANUAL,
        actions=list(actions),
        dry_run=True,
        requested_by=requested_by,
        status=Run.Status.SUCCEEDED,
        counts={action: {"planned": planned[action], "done": 0, "skipped": 0, "failed": 0} for action in actions},
        created_at=now,
        started_at=now,
        finished_at=now,
        code_version=settings.CODE_VERSION,
    )
    return run, due


def dry_run_rows(run: Run, *more: str, scope: Scope, now: datetime) -> Rows:
    """Return what the dry run would do now, as far as the user sees it, and `more` of each `DueItem`."""
    actions = [Action(action) for action in run.actions]
    return [
        item.as_row() | {name: getattr(item, name) for name in more}
        for item in show_due_items(organisation=run.organisation, actions=actions, on=run.business_date, now=now)
        if scope.sees_item(organisation_id=run.organisation_id, chapter_id=item.chapter_id)
    ]
