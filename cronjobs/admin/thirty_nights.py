"""The last thirty nights of an organisation, one after the other: which ran, and which did not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from cronjobs.admin.run_display import StatusBadge, badge_of, url_of
from cronjobs.models import Run
from mentors.models import Organisation

NIGHTS = 30
NOT_DONE = (Run.Status.MISSED, Run.Status.FAILED)


@dataclass(frozen=True, kw_only=True)
class NightRun:
    """A day, and the run that stands for it."""

    on: date
    run: Run | None

    @property
    def badge(self) -> StatusBadge:
        return badge_of(self.run)

    @property
    def url(self) -> str:
        return url_of(self.run) if self.run else ""

    @property
    def is_missed(self) -> bool:
        return self.run is not None and self.run.status == Run.Status.MISSED and not self.run.was_switched_off


def last_nights(organisation: Organisation, *, today: date) -> list[NightRun]:
    """Return the nights up to today, oldest first, by one query."""
    days = [today - timedelta(days=ago) for ago in reversed(range(NIGHTS))]
    runs: dict[date, list[Run]] = defaultdict(list)
    found = Run.objects.real().filter(organisation=organisation, business_date__range=(days[0], today))
    for run in found.order_by("created_at", "scheduled_for", "id"):
        runs[run.business_date].append(run)
    nights = []
    for day in days:
        # The newest that nobody started by hand, unless it did nothing: then the newest of all.
        by_itself = [run for run in runs[day] if run.trigger != Run.Trigger.MANUAL and run.status not in NOT_DONE]
        nights.append(NightRun(on=day, run=next(reversed(by_itself or runs[day]), None)))
    return nights
