"""What each part of the service last showed of itself, and when one was not heard of.

    beat ───── its loop turns, and reaches the database        (cronjobs/beat.py)
    broker ─── it took a message from beat                     (cronjobs/beat.py)
    workers ── one of them did a sweep, or began a slot        (cronjobs/tasks.py)
    watchdog ─ it looked                                       (the command)

A heartbeat after a silence writes the silence down, so that hours later a missed slot can still say why.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from cronjobs.models import Heartbeat, Part, Silence

# Each can be heard of only if those before it work: beat sends what the broker takes and a worker does.
CHAIN = (Part.BEAT, Part.BROKER, Part.WORKERS)
# After how long without a heartbeat a part was silent. Beat's loop turns every few seconds; it sends a sweep every two
# minutes, which the broker takes and a worker does.
TOLERANCE = {
    Part.BEAT: timedelta(seconds=90),
    Part.BROKER: timedelta(minutes=3),
    Part.WORKERS: timedelta(minutes=3),
    Part.WATCHDOG: timedelta(minutes=5),
}

# The heartbeat is written last, from a count of the silences written: else PostgreSQL might move it first, and a row
# that its own statement has changed can be locked no more.
HEAR = """
    WITH before AS (
        SELECT at FROM cronjobs_heartbeat WHERE part = %(part)s FOR UPDATE
    ), silence AS (
        INSERT INTO cronjobs_silence (part, from_at, until_at)
        SELECT %(part)s, before.at, %(now)s FROM before WHERE before.at < %(now)s - %(tolerance)s::interval
        ON CONFLICT (part, from_at) DO UPDATE SET until_at = excluded.until_at
        RETURNING 1
    )
    INSERT INTO cronjobs_heartbeat (part, at)
    SELECT %(part)s, %(now)s FROM (SELECT count(*) FROM silence) written
    ON CONFLICT (part) DO UPDATE SET at = greatest(cronjobs_heartbeat.at, excluded.at)
"""

MISS = """
    INSERT INTO cronjobs_silence (part, from_at, until_at)
    SELECT part, at, %(now)s FROM cronjobs_heartbeat WHERE part = %(part)s AND at < %(now)s
    ON CONFLICT (part, from_at) DO UPDATE SET until_at = greatest(cronjobs_silence.until_at, excluded.until_at)
"""


def hear(part: Part, *, now: datetime) -> None:
    """Note that the part works, and, if it had not been heard of for too long, from when to when."""
    facts: dict[str, Any] = {"part": part, "now": now, "tolerance": TOLERANCE[part]}
    with connection.cursor() as cursor:
        cursor.execute(HEAR, facts)


def miss(part: Part, *, now: datetime) -> None:
    """Note that the part was needed now and failed: a silence, however short it was."""
    with connection.cursor() as cursor:
        cursor.execute(MISS, {"part": part, "now": now})


def last_heard() -> dict[Part, datetime]:
    """Return when each part was last heard of; one that never was is missing."""
    return {Part(beat.part): beat.at for beat in Heartbeat.objects.all()}


def silences_between(start: datetime, end: datetime, *, now: datetime) -> list[Silence]:
    """Return the silences that some of the time was in, those that last until now without an id."""
    lasting = {
        (part, at): Silence(part=part, from_at=at, until_at=now)
        for part, at in last_heard().items()
        if at < end and now - at > TOLERANCE[part]
    }
    noted = Silence.objects.filter(from_at__lt=end, until_at__gt=start)
    ended = [silence for silence in noted if (silence.part, silence.from_at) not in lasting]  # by `miss`, so far
    return [*ended, *lasting.values()]
