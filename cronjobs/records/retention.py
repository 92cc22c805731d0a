"""How long records are kept, and what is left of them: their sums and their seals (docs/records.md).

A month is pruned whole, once RECORDS_YEARS have passed since its end. Its runs go with their items, a limited number
at a time. A run's sums are its own until its last items go, and it with them; the same transaction adds the sums to the
month's `RunSummary`. Wherever it is stopped, nothing is lost and nothing counted twice, and the next time it goes on.

**Nothing acts twice because its item was pruned.** An item that is done holds its key, so that no later run does the
same again. Without the item:

- `pause:{mentor}:{change}` names the status change that made the mentor active. After that pause the mentor is active
  again only by a newer change, and so under another key; status changes are never pruned. `resume:…` likewise.
- `remind:{certification}:{expires_on}:{stage}` is due only on a day within the stage before `expires_on`, which is
  at most a year after the item's business date. A run for such a day is refused (`check_not_pruned`).

**Nothing is missed because its run was pruned.** The newest slot of a job keeps its run, however old: by it the sweep
and the watch know that the slot was run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import TruncMonth

from cronjobs.models import Forecast, Incident, Outage, Run, RunQuerySet, RunSummary
from cronjobs.records.seals import seal_pruned
from mentors.models import Organisation

log = structlog.get_logger(__name__)

AT_ONCE = 5000  # items in one transaction
CLOSED = ("done", "skipped", "failed")  # what a run's items have come to; a dry run's to nothing
DRY_RUN = "dry_run"  # among the statuses of a summary
LONGEST_STAGE = timedelta(days=366)  # of an organisation's reminder_days

DELETE_ITEMS = """
    DELETE FROM cronjobs_runitem
    WHERE id IN (SELECT id FROM cronjobs_runitem WHERE run_id = %s ORDER BY id LIMIT %s)
"""


@dataclass(frozen=True, kw_only=True)
class OldMonth:
    """What there is to prune of an organisation's month."""

    organisation: str  # its slug
    month: date
    runs: int
    items: int


def first_day_kept(*, now: datetime) -> date:
    """Return the first day of the records that are kept: always the first of a month."""
    return date(now.year - settings.RECORDS_YEARS, now.month, 1)


def check_not_pruned(organisation: Organisation, *, on: date) -> None:
    """Raise ValidationError for a day whose run could do again what a pruned item did."""
    begins = (on - LONGEST_STAGE).replace(day=1)
    if RunSummary.objects.filter(organisation=organisation, month__gte=begins).exists():
        raise ValidationError(
            f"{on} is too long ago: records of that time are pruned, and a run could do again what was done then."
        )


def find_old_runs(*, now: datetime) -> RunQuerySet:
    """Return the runs that are no longer kept. What is open or not concluded stays, and so does a job's newest slot."""
    newer = Run.objects.filter(cron_job=OuterRef("cron_job"), scheduled_for__gt=OuterRef("scheduled_for"))
    return Run.objects.filter(
        Q(concluded_at__isnull=False) | Q(dry_run=True),
        Q(cron_job=None) | Q(scheduled_for=None) | Exists(newer),
        business_date__lt=first_day_kept(now=now),
        finished_at__isnull=False,
    )


def find_old_months(*, now: datetime) -> list[OldMonth]:
    """Return what `prune` would remove, by organisation and month."""
    months = find_old_runs(now=now).order_by().annotate(month=TruncMonth("business_date"))
    counted = months.values_list("organisation__slug", "month").annotate(Count("pk", distinct=True), Count("items"))
    return [
        OldMonth(organisation=slug, month=month, runs=runs, items=items)
        for slug, month, runs, items in counted.order_by("organisation__slug", "month")
    ]


def prune(*, now: datetime, on_progress: Callable[[int], None] = lambda _items: None) -> int:
    """Remove what is no longer kept, and return how many runs that were. It may be stopped at any time, and repeated.

    `on_progress` is told of each lot of items.
    """
    pruned = 0
    for run_id in list(find_old_runs(now=now).order_by("business_date", "created_at").values_list("pk", flat=True)):
        while lot := _prune_some(run_id, now=now):
            on_progress(lot.items)
            pruned += lot.is_last
            if lot.is_last:
                break
    day = first_day_kept(now=now)
    before = datetime.combine(day, time(), UTC)
    Outage.objects.filter(until_at__lt=before).delete()
    Incident.objects.filter(ended_at__lt=before).delete()  # with their alerts
    Forecast.objects.filter(business_date__lt=day).delete()
    log.info("records pruned", event_name="records_pruned", runs=pruned, before=str(day))
    return pruned


@dataclass(frozen=True, kw_only=True)
class Lot:
    """What one transaction removed: so many items of a run, and the run itself with the last of them."""

    items: int
    is_last: bool


@transaction.atomic
def _prune_some(run_id: UUID, *, now: datetime) -> Lot | None:
    """Remove some items of a run, or the last and the run itself; None if it is gone, or somebody else prunes it."""
    runs = find_old_runs(now=now).select_related("organisation").select_for_update(of=("self",), skip_locked=True)
    run = runs.filter(pk=run_id).first()
    if run is None:
        return None
    if not run.dry_run:
        seal_pruned(run, now=now)
    with connection.cursor() as cursor:
        cursor.execute(DELETE_ITEMS, [run.pk, AT_ONCE])
        items = cursor.rowcount
    if items < AT_ONCE:
        _add_to_summary(run)
        run.delete()
    return Lot(items=items, is_last=items < AT_ONCE)


def _add_to_summary(run: Run) -> None:
    """Move the sums of a run, which are its own until it goes, to those of its month."""
    month = {"organisation": run.organisation, "month": run.business_date.replace(day=1)}
    empty: dict[str, object] = {"runs": {}, "counts": {}}
    summary, _created = RunSummary.objects.select_for_update().get_or_create(**month, defaults=empty)
    for (action, counted), status in product(run.counts.items(), CLOSED):
        if counted[status]:
            by_status = summary.counts.setdefault(action, {})
            by_status[status] = by_status.get(status, 0) + counted[status]
    status = DRY_RUN if run.dry_run else run.status
    summary.runs[status] = summary.runs.get(status, 0) + 1
    summary.save(update_fields=["runs", "counts"])
