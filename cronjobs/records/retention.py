"""How long records are kept, and what is left of them: their sums and their seals (docs/records.md).

A month is pruned whole, once RECORDS_YEARS have passed since its end: the runs that were closed in it, whatever the day
whose rules they applied. What a wrong clock wrote stays, and operations are told. Runs go with their items, a limited
number at a time. A run's sums are its own until its last items go, and it with them; the same transaction adds the
sums to the month's `RunSummary`. Wherever it is stopped, nothing is lost and nothing counted twice, and the next time
it goes on.

**Nothing acts twice because its item was pruned.** An item that is done holds its key, so that no later run does the
same again. Without the item:

- `pause:{mentor}:{change}` names the status change that made the mentor active. After that pause the mentor is active
  again only by a newer change, and so under another key; status changes are never pruned. `resume:…` likewise.
- `remind:{certification}:{expires_on}:{stage}` is due only on a day within the stage before `expires_on`, which is
  at most a year after the item's business date, and so after the month in which its run was closed. A run for such a
  day is refused (`check_not_pruned`).

**Nothing is missed because its run was pruned.** The newest slot of a job keeps its run, however old: by it the sweep
and the watch know that the slot was run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from itertools import product
from operator import or_
from typing import cast
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, DateField, Exists, OuterRef, Q, Subquery
from django.db.models.functions import TruncMonth

from cronjobs.models import Forecast, Incident, Outage, Run, RunQuerySet, RunSummary, Seal
from cronjobs.records.seals import seal_pruned
from mentors.clock import CLOCKS_DIFFER
from mentors.models import Organisation

log = structlog.get_logger(__name__)

AT_ONCE = 5000  # items in one transaction
CLOSED = ("done", "skipped", "failed")  # what a run's items have come to; a dry run's to nothing
DRY_RUN = "dry_run"  # among the statuses of a summary
TIMES = ("created_at", "started_at", "finished_at", "concluded_at")  # of a run, when what happened
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
    """Return the runs that are no longer kept, by when they happened, whatever their day.

    What is open or not concluded stays, and so does a job's newest slot, and what a wrong clock wrote.
    """
    newer = Run.objects.filter(cron_job=OuterRef("cron_job"), scheduled_for__gt=OuterRef("scheduled_for"))
    return (
        _runs_that_look_old(now=now)
        .filter(Q(cron_job=None) | Q(scheduled_for=None) | Exists(newer))
        .exclude(_is_sealed_after_what_is_kept(now=now))
    )


def find_doubtful_runs(*, now: datetime) -> RunQuerySet:
    """Return the runs that a wrong clock wrote: nobody knows how old they are.

    A time of theirs lies beyond now; or they look old, and were sealed after a run that is not.
    """
    beyond_now = reduce(or_, (Q(**{f"{time}__gt": now + CLOCKS_DIFFER}) for time in TIMES))
    out_of_order = _runs_that_look_old(now=now).filter(_is_sealed_after_what_is_kept(now=now))
    return Run.objects.filter(beyond_now | Q(pk__in=out_of_order.values("pk")))


def _runs_that_look_old(*, now: datetime) -> RunQuerySet:
    before = _kept_from(now=now)
    nothing_later = (Q(**{f"{time}__lt": before}) | Q(**{time: None}) for time in TIMES)
    return Run.objects.filter(
        Q(concluded_at__isnull=False) | Q(dry_run=True), *nothing_later, finished_at__isnull=False
    )


def _is_sealed_after_what_is_kept(*, now: datetime) -> Exists:
    first_seal = Seal.objects.filter(run_id=OuterRef(OuterRef("pk"))).order_by("number").values("number")[:1]
    kept = (_kept_from(now=now), now + CLOCKS_DIFFER)
    seals = Seal.objects.filter(organisation=OuterRef("organisation"), at__range=kept)
    return Exists(seals.filter(number__lt=Subquery(first_seal)))


def _kept_from(*, now: datetime) -> datetime:
    return datetime.combine(first_day_kept(now=now), time(), UTC)


def find_old_months(*, now: datetime) -> list[OldMonth]:
    """Return what `prune` would remove, by organisation and month."""
    months = (
        find_old_runs(now=now)
        .order_by()
        .annotate(month=TruncMonth("finished_at", output_field=DateField(), tzinfo=UTC))
    )
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
    for run_id in list(find_old_runs(now=now).order_by("finished_at", "created_at").values_list("pk", flat=True)):
        while lot := _prune_some(run_id, now=now):
            on_progress(lot.items)
            pruned += lot.is_last
            if lot.is_last:
                break
    before = _kept_from(now=now)
    Outage.objects.filter(until_at__lt=before).delete()
    Incident.objects.filter(ended_at__lt=before).delete()  # with their alerts
    Forecast.objects.filter(written_at__lt=before).delete()
    log.info("records pruned", event_name="records_pruned", runs=pruned, before=str(before.date()))
    if doubtful := [str(pk) for pk in find_doubtful_runs(now=now).values_list("pk", flat=True)]:
        log.error("runs of a wrong clock are kept", event_name="records_doubtful", runs=doubtful)
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
    closed_on = cast("datetime", run.finished_at).astimezone(UTC).date()  # of every run that goes
    month = {"organisation": run.organisation, "month": closed_on.replace(day=1)}
    empty: dict[str, object] = {"runs": {}, "counts": {}}
    summary, _created = RunSummary.objects.select_for_update().get_or_create(**month, defaults=empty)
    for (action, counted), status in product(run.counts.items(), CLOSED):
        if counted[status]:
            by_status = summary.counts.setdefault(action, {})
            by_status[status] = by_status.get(status, 0) + counted[status]
    status = DRY_RUN if run.dry_run else run.status
    summary.runs[status] = summary.runs.get(status, 0) + 1
    summary.save(update_fields=["runs", "counts"])
