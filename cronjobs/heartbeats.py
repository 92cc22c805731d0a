"""When each component of the service was last heard of, and its outages.

    beat ───── its loop turns, and reaches the database        (cronjobs/schedules/beat.py)
    broker ─── it took a message from beat                     (cronjobs/schedules/beat.py)
    workers ── one of them did a sweep, or began a slot        (cronjobs/tasks.py)
    watchdog ─ it looked                                       (the command)

A heartbeat after a gap writes the outage down, so that hours later a missed slot can still say why.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from cronjobs.models import Component, Heartbeat, Outage

# Each can be heard of only if those before it work: beat sends what the broker takes and a worker does.
CHAIN = (Component.BEAT, Component.BROKER, Component.WORKERS)
# After how long without a heartbeat a component counts as silent. Beat's loop turns every few seconds; it sends a sweep
# every two minutes, which the broker takes and a worker does.
TOLERANCE = {
    Component.BEAT: timedelta(seconds=90),
    Component.BROKER: timedelta(minutes=3),
    Component.WORKERS: timedelta(minutes=3),
    Component.WATCHDOG: timedelta(minutes=5),
}

# The heartbeat is written last, from a count of the outages written: else PostgreSQL might move it first, and a row
# that its own statement has changed can be locked no more.
RECORD_HEARTBEAT = """
    WITH before AS (
        SELECT at FROM cronjobs_heartbeat WHERE component = %(component)s FOR UPDATE
    ), outage AS (
        INSERT INTO cronjobs_outage (component, from_at, until_at)
        SELECT %(component)s, before.at, %(now)s FROM before WHERE before.at < %(now)s - %(tolerance)s::interval
        ON CONFLICT (component, from_at) DO UPDATE SET until_at = excluded.until_at
        RETURNING 1
    )
    INSERT INTO cronjobs_heartbeat (component, at)
    SELECT %(component)s, %(now)s FROM (SELECT count(*) FROM outage) written
    ON CONFLICT (component) DO UPDATE SET at = greatest(cronjobs_heartbeat.at, excluded.at)
"""

RECORD_FAILURE = """
    INSERT INTO cronjobs_outage (component, from_at, until_at)
    SELECT component, at, %(now)s FROM cronjobs_heartbeat WHERE component = %(component)s AND at < %(now)s
    ON CONFLICT (component, from_at) DO UPDATE SET until_at = greatest(cronjobs_outage.until_at, excluded.until_at)
"""


def record_heartbeat(component: Component, *, now: datetime) -> None:
    """Note that the component works and, if it had not been heard of for too long, the outage that ends now."""
    facts: dict[str, Any] = {"component": component, "now": now, "tolerance": TOLERANCE[component]}
    with connection.cursor() as cursor:
        cursor.execute(RECORD_HEARTBEAT, facts)


def record_failure(component: Component, *, now: datetime) -> None:
    """Note that the component was needed now and failed: an outage, however short it was."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD_FAILURE, {"component": component, "now": now})


def last_heard() -> dict[Component, datetime]:
    """Return when each component was last heard of; one that never was is missing."""
    return {Component(beat.component): beat.at for beat in Heartbeat.objects.all()}


def outages_between(start: datetime, end: datetime, *, now: datetime) -> list[Outage]:
    """Return the outages that overlap the time; those that still last have no id."""
    lasting = {
        (component, at): Outage(component=component, from_at=at, until_at=now)
        for component, at in last_heard().items()
        if at < end and now - at > TOLERANCE[component]
    }
    noted = Outage.objects.filter(from_at__lt=end, until_at__gt=start)
    # What `record_failure` has noted so far may last.
    ended = [outage for outage in noted if (outage.component, outage.from_at) not in lasting]
    return [*ended, *lasting.values()]
