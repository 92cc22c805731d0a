"""What a night is expected to do, and whether it did.

Each close counts what the organisation's next night would do by the state of now, with the very queries that plan it.
Two nights are seldom alike, so a deviation is only what no ordinary day explains:

- Between the forecast and the night people renew, which takes pauses and reminders away, and late entries add some.
  Up to three quarters of what was expected may go, and up to three times as much again may come.
- Small numbers say nothing. What was expected counts as FORECAST_MINIMUM at least, and as many must be missing: a
  group of nine that renews on its last day is no deviation, and neither are forty late entries.

So it speaks of 0 where 40 were expected, and of 400 where 40 were; not of 2 where 10 were, or of 15 where 40 were.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Count, Max

from cronjobs import record_text
from cronjobs.cron import next_slots
from cronjobs.ledger import count_due_items
from cronjobs.models import Action, CronJob, Forecast, Run, RunItem
from mentors.models import Organisation
from mentors.record_text import EMPTY, RecordText

FACTOR = 4  # less than a quarter of what was expected, or more than four times as much
# By action: how one is said, and how others are.
NUMBERS = {
    Action.PAUSE: record_text.PAUSES_EXPECTED,
    Action.RESUME: record_text.RESUMES_EXPECTED,
    Action.REMIND: record_text.REMINDERS_EXPECTED,
}


def write_forecast(run: Run, *, now: datetime) -> None:
    """Write what the next night of the run's organisation is expected to do, over what an earlier close wrote of it."""
    night = next_night(run.organisation, now=now)
    expected = {
        action.value: count_due_items(organisation=run.organisation, action=action, on=night, now=now)
        for action in Action
    }
    forecast = Forecast(organisation=run.organisation, business_date=night, expected=expected, written_at=now)
    Forecast.objects.bulk_create(
        [forecast],
        update_conflicts=True,
        unique_fields=["organisation", "business_date"],
        update_fields=["expected", "written_at"],
    )


def find_deviation(run: Run) -> RecordText:
    """Return how the day of the run differs from what was expected of it; empty if it does not, or nothing was.

    That a derived column had to be mended is never expected. Of the numbers, a run that never came to plan, or was for
    some actions only, says nothing.
    """
    said = record_text.REPAIRED(count=run.repaired) if run.repaired else EMPTY
    return said + _compare(run)


def _compare(run: Run) -> RecordText:
    if run.started_at is None or set(run.actions) != set(Action):
        return EMPTY
    forecast = Forecast.objects.filter(organisation=run.organisation_id, business_date=run.business_date).first()
    if forecast is None:
        return EMPTY
    planned = count_planned(run.organisation, on=run.business_date)
    said = EMPTY
    for action in Action:
        expected = forecast.expected.get(action, 0)
        too_few = expected - planned[action] >= settings.FORECAST_MINIMUM and planned[action] * FACTOR < expected
        if too_few or planned[action] > max(expected, settings.FORECAST_MINIMUM) * FACTOR:
            said += NUMBERS[action](planned=planned[action], expected=expected)
    return said


def next_night(organisation: Organisation, *, now: datetime) -> date:
    """Return the date of the organisation's next slot, of those dates that no run was for yet; or the next such day."""
    runs = Run.objects.real().filter(organisation=organisation)
    newest: date | None = runs.aggregate(day=Max("business_date"))["day"]
    jobs = CronJob.objects.filter(organisation=organisation, enabled=True)
    if slot := next_slot_after(newest, organisation=organisation, jobs=jobs, now=now):
        return organisation.local_date(slot)
    return newest + timedelta(days=1) if newest else organisation.local_date(now)


def next_slot_after(
    newest: date | None, *, organisation: Organisation, jobs: Iterable[CronJob], now: datetime
) -> datetime | None:
    """Return the first slot of the jobs that are switched on, on a day after the newest that a run was for.

    A day that a run was for has begun: a later job of the same day finds only what the first has left.
    """
    after = now
    if newest:
        next_day = datetime.combine(newest + timedelta(days=1), time(), ZoneInfo(organisation.timezone))
        after = max(now, next_day.astimezone(UTC) - timedelta(microseconds=1))
    soonest: list[datetime] = []
    for job in jobs:
        with suppress(ValidationError):  # an edit past the checks: beat cannot read it either
            soonest += next_slots(job.cron_expression, job.timezone, after=after, count=1) if job.enabled else []
    return min(soonest, default=None)


def count_planned(organisation: Organisation, *, on: date) -> dict[Action, int]:
    """Count by action what the runs of the day had to do; what one took over from another counts once."""
    runs = Run.objects.real().filter(organisation=organisation, business_date=on)
    items = RunItem.objects.filter(run__in=runs.values("pk")).order_by()
    counted = dict(items.values_list("action").annotate(Count("dedupe_key", distinct=True)))
    return {action: counted.get(action, 0) for action in Action}
