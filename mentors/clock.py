"""A stored time is what some machine's clock said then. One that lies ahead of now is not believed (rule 13).

What steers others is judged by the database's clock, which all machines share: a machine whose own is behind would take
everybody else's times for wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

# How far the clocks of two machines are apart. Further than this, one of them is wrong, and somebody is told.
TOLERANCE = timedelta(minutes=5)
# So far it must do no harm: by the other's clock, a day may have begun already.
CLOCKS_DIFFER = timedelta(minutes=1)
# So far the worker that takes a slot may be behind beat, by whose clock it has come; more would start nights too early.
CLOCKS_IN_STEP = timedelta(seconds=10)


class ClocksDiffer(Exception):
    """This machine's clock is far from the database's: whatever is judged by it may be wrong."""


def latest_believed(*, now: datetime, ahead: timedelta = timedelta()) -> datetime:
    """Return until when a stored time is believed that may rightly lie so far ahead."""
    return now + ahead + TOLERANCE


def shared_now(*, now: datetime) -> datetime:
    """Return the database's time, or `now` if that is later; the caller may have waited for long since it read that.

    Raises ClocksDiffer.
    """
    shared = database_now()
    if abs(shared - timezone.now()) > TOLERANCE:
        raise ClocksDiffer
    return max(now, shared)


def database_now() -> datetime:
    """Return what the database's clock says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
