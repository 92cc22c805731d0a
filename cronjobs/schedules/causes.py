"""Why a slot has no run of its own: what the record says of a night that was made up or missed.

In English, as all that operations read, and with times of the job's zone. What is known is said, the likeliest first;
what is not known is not made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q

from cronjobs import heartbeats, record_text
from cronjobs.models import Component, CronJob, Outage, Run
from cronjobs.schedules.drift import find_drift
from mentors.record_text import Phrase

# Of each part: that it was away, that it still is, and that it never came.
SILENT = {
    Component.BEAT: (record_text.BEAT_SILENT, record_text.BEAT_STILL_SILENT, record_text.BEAT_NEVER_HEARD),
    Component.BROKER: (record_text.BROKER_SILENT, record_text.BROKER_STILL_SILENT, record_text.BROKER_NEVER_HEARD),
    Component.WORKERS: (record_text.WORKERS_SILENT, record_text.WORKERS_STILL_SILENT, record_text.WORKERS_NEVER_HEARD),
}
# How long after a restart of the database connections to it may still break.
RESTART = timedelta(minutes=3)
# A part may be heard of right at a slot, and fail at it.
SECONDS_AFTER = timedelta(seconds=10)
# A run that takes longer than a part may be away unnoticed was perhaps held up.
LONG = max(heartbeats.TOLERANCE[component] for component in heartbeats.CHAIN)


def why_not_run(job: CronJob, slot: datetime, *, now: datetime) -> str:
    """Say why nobody ran the slot at its time. It may name who switched the job off, and nobody else."""
    if not job.enabled and (job.paused_at is None or job.paused_at <= slot):
        return _pause(job)
    outages = heartbeats.outages_between(slot, slot + SECONDS_AFTER, now=now)
    zone = ZoneInfo(job.timezone)
    found = [
        *_database(slot, outages, zone=zone),
        *_outages(outages, zone=zone),
        *_drift(job),
        *_open_runs(job, slot, zone=zone),
    ]
    found = found or [record_text.CAUSE_NOT_FOUND.write()]
    return " ".join(found if job.enabled else [*found, _pause(job)])


def what_held_up(run: Run, *, now: datetime) -> str:
    """Say what was away while a closed run was at work, if it took long; empty if nothing was, or it was quick."""
    if run.finished_at is None or run.finished_at - run.created_at <= LONG:
        return ""
    zone = ZoneInfo(run.cron_job.timezone if run.cron_job else run.organisation.timezone)
    outages = heartbeats.outages_between(run.created_at, run.finished_at, now=now)
    found = [*_database(run.created_at, outages, zone=zone), *_outages(outages, zone=zone)] if outages else []
    return " ".join([record_text.HELD_UP.write(), *found]) if found else ""


def _pause(job: CronJob) -> str:
    at = _local(job.paused_at, ZoneInfo(job.timezone)) if job.paused_at else ""
    match bool(job.paused_by), bool(at):
        case True, True:
            phrase = record_text.PAUSED_JOB_BY_AT
        case True, False:
            phrase = record_text.PAUSED_JOB_BY
        case False, True:
            phrase = record_text.PAUSED_JOB_AT
        case _:
            phrase = record_text.PAUSED_JOB
    return phrase.write(by=job.paused_by, at=at, said=job.pause_note)


def _database(start: datetime, outages: list[Outage], *, zone: ZoneInfo) -> Iterator[str]:
    """Say that the database was away, or the machine with all there is, or that it was started at the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_postmaster_start_time()")
        [started_at] = cursor.fetchone()
    if away := _all_away(outages):
        yield _in_time(away, record_text.DATABASE_AWAY, record_text.DATABASE_STILL_AWAY, zone=zone)
    spans = [(outage.from_at, outage.until_at) for outage in ([away] if away else [])]
    if any(began <= started_at <= ended for began, ended in [*spans, (start - RESTART, start + RESTART)]):
        yield record_text.DATABASE_STARTED.write(at=_local(started_at, zone))


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


def _outages(outages: list[Outage], *, zone: ZoneInfo) -> list[str]:
    """Say which parts were silent, and not those that only waited for the database or for one before them."""
    heard = heartbeats.last_heard()
    away = _all_away(outages)
    said: list[str] = []
    for number, component in enumerate(heartbeats.CHAIN):
        was_silent, is_silent, never_heard = SILENT[component]
        if component not in heard:
            return said or [never_heard.write()]
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
    """Whether the silence is but the echo of the other, of a part that comes before it."""
    echo = heartbeats.TOLERANCE[Component(outage.component)]
    return other.from_at - echo <= outage.from_at and outage.until_at <= other.until_at + echo


def _in_time(outage: Outage, over: Phrase, lasting: Phrase, *, zone: ZoneInfo) -> str:
    phrase = over if outage.pk else lasting
    return phrase.write(since=_local(outage.from_at, zone), until=_local(outage.until_at, zone))


def _drift(job: CronJob) -> Iterator[str]:
    if differences := find_drift([job]).get(job.pk):
        yield " ".join([record_text.DRIFTED.write(), *differences])


def _open_runs(job: CronJob, slot: datetime, *, zone: ZoneInfo) -> Iterator[str]:
    """Name the organisation's run that was open at the slot; while there is one, no other begins."""
    in_the_way = Run.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=slot), organisation=job.organisation, created_at__lte=slot
    )
    for run in in_the_way.exclude(status=Run.Status.MISSED).order_by("created_at"):
        phrase = record_text.IN_THE_WAY if run.finished_at else record_text.STILL_IN_THE_WAY
        until = _local(run.finished_at, zone) if run.finished_at else ""
        yield phrase.write(run=run.pk, since=_local(run.created_at, zone), until=until)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
