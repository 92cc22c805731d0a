"""How often a host may be sent to, by all workers together.

A limit is written as `host=20/second`; `*` is every other host. A host's budget is one row: the time from which its
next message may go. Taking a batch's share moves it on, in one transaction, so that no two workers take the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import transaction

from mentors.clock import latest_believed
from notifications.models import HostBudget

# For so long a worker waits within a batch; what comes later goes back into the queue.
PATIENCE = timedelta(seconds=10)


@dataclass
class Reservation:
    """The right to send `count` messages, one every `interval_seconds`; from `next_at` on there is room for more."""

    count: int
    next_at: datetime
    starts_in_seconds: float = 0
    interval_seconds: float = 0
    _began: float = field(default_factory=monotonic)
    _used: int = 0

    def seconds_until_next(self) -> float:
        """Take the next place, and return for how long to wait for it."""
        at = self._began + self.starts_in_seconds + self._used * self.interval_seconds
        self._used += 1
        return max(0.0, at - monotonic()) if self.interval_seconds else 0.0


def longest_wait() -> timedelta:
    """Return how far ahead a host may have been reserved."""
    return PATIENCE + max(settings.DELIVERY_RATES.values(), default=timedelta())


def reserve(host: str, wanted: int, *, now: datetime) -> Reservation:
    """Take places for up to `wanted` messages to the host within `PATIENCE`."""
    interval = settings.DELIVERY_RATES.get(host.lower(), settings.DELIVERY_RATES.get("*"))
    if not interval or not wanted:
        return Reservation(wanted, now)
    with transaction.atomic():
        HostBudget.objects.bulk_create([HostBudget(host=host.lower(), free_at=now)], ignore_conflicts=True)
        budget = HostBudget.objects.select_for_update().get(host=host.lower())
        is_believed = budget.free_at <= latest_believed(now=now, ahead=PATIENCE + interval)
        first = max(budget.free_at, now) if is_believed else now
        fits = max(0, (now + PATIENCE - first) // interval + 1)
        count = min(wanted, fits)
        budget.free_at = first + count * interval
        budget.save(update_fields=["free_at"])
    return Reservation(
        count,
        budget.free_at,
        starts_in_seconds=(first - now).total_seconds(),
        interval_seconds=interval.total_seconds(),
    )
