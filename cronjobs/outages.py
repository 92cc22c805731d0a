"""What of the service was away at a time: the database, the machine, beat, the broker or the workers.

Times are of the zone that is given. What is known is said, the likeliest first; what is not known is not made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from django.db import connection

from cronjobs import heartbeats, record_text
from cronjobs.models import Component, Outage, Run, RunItem
from mentors.record_text import EMPTY, Phrase, RecordText, join

# Of each component: that it was away, that it still is, and that it never came.
SILENT = {
    Component.BEAT: (record_text.BEAT_SILENT, record_text.BEAT_STILL_SILENT, record_text.BEAT_NEVER_HEARD),
    Component.BROKER: (record_text.BROKER_SILENT, record_text.BROKER_STILL_SILENT, record_text.BROKER_NEVER_HEARD),
    Component.WORKERS: (record_text.WORKERS_SILENT, record_text.WORKERS_STILL_SILENT, record_text.WORKERS_NEVER_HEARD),
}
# How long after a restart of the database connections to it may still break.
RESTART = timedelta(minutes=3)
# A run that takes longer than a component may be away unnoticed was perhaps held up.
LONG = max(heartbeats.TOLERANCE[component] for component in heartbeats.CHAIN)


def describe_outages(start: datetime, end: datetime, *, zone: ZoneInfo, now: datetime) -> RecordText:
    """Say what was away in some of the time, and whether the database was started then; nothing if nothing was."""
    return _describe(heartbeats.outages_between(start, end, now=now), start, zone=zone)


def describe_delay(run: Run, *, now: datetime) -> RecordText:
    """Say what was away while a closed run was at work, if it took long; nothing if nothing was, or it was quick."""
    if run.finished_at is None or run.finished_at - run.created_at <= LONG:
        return EMPTY
    outages = heartbeats.outages_between(run.created_at, run.finished_at, now=now)
    outages = [outage for outage in outages if not _was_at_work(run, outage)]
    zone = ZoneInfo(run.cron_job.timezone if run.cron_job else run.organisation.timezone)
    found = _describe(outages, run.created_at, zone=zone) if outages else EMPTY
    return record_text.HELD_UP() + found if found else EMPTY


def _was_at_work(run: Run, outage: Outage) -> bool:
    """Whether workers who began no sweep and no slot did the run's own work meanwhile: then nothing held it up."""
    done = run.items.exclude(status=RunItem.Status.PENDING)
    during = (outage.from_at, outage.until_at)
    return outage.component == Component.WORKERS and done.filter(at__range=during).exists()


def _describe(outages: list[Outage], start: datetime, *, zone: ZoneInfo) -> RecordText:
    return join([*_database(start, outages, zone=zone), *_components(outages, zone=zone)])


def local_time(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _database(start: datetime, outages: list[Outage], *, zone: ZoneInfo) -> Iterator[RecordText]:
    """Say that the database was away, or the machine with all there is, or that it was started at the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        [started_at] = cursor.fetchone()
    if away := _all_away(outages):
        yield _in_time(away, record_text.DATABASE_AWAY, record_text.DATABASE_STILL_AWAY, zone=zone)
    spans = [(outage.from_at, outage.until_at) for outage in ([away] if away else [])]
    if any(began <= started_at <= ended for began, ended in [*spans, (start - RESTART, start + RESTART)]):
        yield record_text.DATABASE_STARTED(at=local_time(started_at, zone))


def _all_away(outages: list[Outage]) -> Outage | None:
    """Return the longest time in which both beat and the watchdog were silent: they share only the database."""
    of = {
        component: [outage for outage in outages if outage.component == component]
        for component in (Component.BEAT, Component.WATCHDOG)
    }
    both = [
        Outage(
            pk=one.pk and other.pk,
            from_at=max(one.from_at, other.from_at),
            until_at=min(one.until_at, other.until_at),
        )
        for one, other in product(of[Component.BEAT], of[Component.WATCHDOG])
    ]
    away = max(both, key=lambda outage: outage.until_at - outage.from_at, default=None)
    return away if away and away.from_at < away.until_at else None


def _components(outages: list[Outage], *, zone: ZoneInfo) -> list[RecordText]:
    """Say which components were silent, and not those that only waited for the database or for one before them."""
    heard = heartbeats.last_heard()
    away = _all_away(outages)
    said: list[RecordText] = []
    for number, component in enumerate(heartbeats.CHAIN):
        was_silent, is_silent, never_heard = SILENT[component]
        if component not in heard:
            return said or [never_heard()]
        before = [outage for outage in outages if outage.component in heartbeats.CHAIN[:number]]
        before += [away] if away else []
        own = [outage for outage in outages if outage.component == component]
        said += [
            _in_time(outage, was_silent, is_silent, zone=zone)
            for outage in own
            if not any(_follows(outage, other) for other in before)
        ]
    return said


def _follows(outage: Outage, other: Outage) -> bool:
    """Whether the outage only follows from the other, of a component that comes before it."""
    echo = heartbeats.TOLERANCE[Component(outage.component)]
    return other.from_at - echo <= outage.from_at and outage.until_at <= other.until_at + echo


def _in_time(outage: Outage, over: Phrase, lasting: Phrase, *, zone: ZoneInfo) -> RecordText:
    phrase = over if outage.pk else lasting
    return phrase(since=local_time(outage.from_at, zone), until=local_time(outage.until_at, zone))
