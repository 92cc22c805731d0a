"""A stored time is what some machine's clock said then. One that lies ahead of now is not believed (rule 13)."""

from __future__ import annotations

from datetime import datetime, timedelta

# How far the clocks of two machines may be apart.
TOLERANCE = timedelta(minutes=5)


def latest_believed(*, now: datetime, ahead: timedelta = timedelta()) -> datetime:
    """Return until when a stored time is believed that may rightly lie so far ahead."""
    return now + ahead + TOLERANCE
