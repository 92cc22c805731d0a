"""Is anything wrong? Asked of the database alone: it does not matter which of the others is broken.

`last_nights` says of every job whether its night is in order, `find_problems` what operations have to know of: those
nights, silent parts, messages that do not leave, deviations, and beat's own schedule. Nothing here changes anything,
and the number of questions does not grow with the number of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from django.db.models import Exists, OuterRef, Q

from cronjobs import record_text
from cronjobs.clock import find_ahead
from cronjobs.cron import LOOK_AHEAD, slots
from cronjobs.heartbeats import CHAIN, TOLERANCE, last_heard
from cronjobs.models import (
    LONGEST_PATIENCE_MINUTES,
    Action,
    Component,
    CronJob,
    Heartbeat,
    Incident,
    Outage,
    Run,
    RunQuerySet,
)
from cronjobs.schedules import causes
from cronjobs.schedules.drift import find_drift
from mentors.clock import latest_believed
from mentors.models import Mentor, Organisation, is_timezone
from mentors.record_text import EMPTY, RecordText
from notifications.backlog import find_backlog, find_refusals

log = structlog.get_logger(__name__)
Kind = Incident.Kind

# What ends the whole look, and not one question of it: the database is away, or the time is over.
WATCH_ENDS = (OperationalError, InterfaceError, TimeoutError, SoftTimeLimitExceeded)
# Days: most jobs are nightly, some monthly, one may be for 29 February.
LOOK_BACK = (2, 40, LOOK_AHEAD.days)
# What `find_problems` judges; the web server is asked by the watchdog, the records by those who verify them.
WATCHED = frozenset(
    {
        Kind.NIGHT,
        Kind.COMPONENT,
        Kind.DELIVERY,
        Kind.DEVIATION,
        Kind.DRIFT,
        Kind.SCHEDULE,
        Kind.CLOCK,
    }
)
# Long enough to restart or update a part; short beside a night's hour.
SILENT_AFTER = timedelta(minutes=15)
# After an outage of the database the others need as long until they are heard of again.
SETTLE_TIME = timedelta(minutes=3)
CONCLUDED_WITHIN = timedelta(hours=1)
DEVIATION_LASTS = timedelta(days=2)
TITLES = {
    Run.Status.PLANNED: record_text.NIGHT_NOT_FINISHED,
    Run.Status.RUNNING: record_text.NIGHT_NOT_FINISHED,
    Run.Status.HELD: record_text.NIGHT_HELD,
    Run.Status.SUCCEEDED: record_text.NIGHT_LATE,
    Run.Status.PARTIAL: record_text.NIGHT_PARTIAL,
    Run.Status.FAILED: record_text.NIGHT_FAILED,
    Run.Status.MISSED: record_text.NIGHT_NOT_RUN,
}


@dataclass(frozen=True, kw_only=True)
class NightStatus:
    """The slot of a job that counts now; `fault` says why it is not in order, or nothing."""

    organisation: str  # its slug
    job: str
    slot: datetime | None
    cron_job: CronJob
    run: Run | None = None
    fault: RecordText = EMPTY


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong now. Its key stays the same as long as it lasts.

    One that is `unconfirmed` opens no incident, and does not end an open one: what it depends on is broken itself, or
    has only just come back.
    """

    kind: Kind
    key: str
    title: RecordText
    details: RecordText
    began_at: datetime
    organisation: Organisation | None = None
    cron_job: CronJob | None = None
    run: Run | None = None
    slot: datetime | None = None  # of a night
    unconfirmed: bool = False

    @property
    def is_late(self) -> bool:
        """Whether a run goes on for too long; one that is held waits for a person."""
        return self.run is not None and self.run.status in {Run.Status.PLANNED, Run.Status.RUNNING}


def last_nights(*, now: datetime) -> list[NightStatus]:
    """Return for every enabled job the newest slot that can be judged: it is in order if closed green within its time.

    That is the newest one that somebody ran and that is closed, else the newest one that is due, once
    `alert_after_minutes` have passed. A job that was just made has none, and is in order; so is one whose organisation
    has had a green run since. Each job is judged by itself: what cannot be judged is its fault, and no other's.
    """
    jobs = list(CronJob.objects.filter(enabled=True).select_related("organisation"))
    due = {job.pk: _due_slot(job, now=now) for job in jobs}
    runs = Run.objects.filter(cron_job__in=jobs).select_related("organisation")
    of_due = runs.filter(scheduled_for__in={slot for slot, _fault in due.values() if slot})
    by_slot = {(run.cron_job_id, run.scheduled_for): run for run in of_due}
    newest = {run.cron_job_id: run for run in _newest_closed(runs, jobs, now=now)}
    nights = [_night(job, *due[job.pk], by_slot, newest.get(job.pk)) for job in jobs]
    return _forgive_what_was_made_good(nights)


def _newest_closed(runs: RunQuerySet, jobs: Sequence[CronJob], *, now: datetime) -> RunQuerySet:
    """Return of each job the run of the newest slot that is closed already; one that nobody ran is judged when due."""
    longest = min(max((job.alert_after_minutes for job in jobs), default=0), LONGEST_PATIENCE_MINUTES)
    recent = runs.filter(scheduled_for__gt=now - timedelta(minutes=longest), scheduled_for__lte=now)
    closed = recent.filter(finished_at__isnull=False).exclude(status=Run.Status.MISSED)
    return closed.order_by("cron_job_id", "-scheduled_for").distinct("cron_job_id")


def _night(
    job: CronJob,
    due: datetime | None,
    fault: RecordText,
    of_due: dict[tuple[int | None, datetime | None], Run],
    newest: Run | None,
) -> NightStatus:
    slot, run = due, of_due.get((job.pk, due))
    if (
        not fault
        and newest
        and newest.scheduled_for
        and newest.scheduled_for > max(due or job.slots_from, job.slots_from)
    ):
        slot, run = newest.scheduled_for, newest
    fault = fault or _fault(job, slot, run)
    return NightStatus(organisation=job.organisation.slug, job=job.name, slot=slot, cron_job=job, run=run, fault=fault)


def _forgive_what_was_made_good(nights: list[NightStatus]) -> list[NightStatus]:
    """Take the fault from a night after which a run of the same organisation has paused whom it had to, and was green.

    Else a monthly night that failed would be wrong all month, though a person has run it by hand.
    """
    faulty = [night for night in nights if night.fault and night.slot]
    days = [night.slot.date() - timedelta(days=1) for night in faulty if night.slot]
    if not days:
        return nights
    later = Run.objects.real().filter(
        organisation__in=[night.cron_job.organisation_id for night in faulty],
        business_date__gte=min(days),
        status=Run.Status.SUCCEEDED,
        actions__contains=[Action.PAUSE],
    )
    newest = later.order_by("organisation_id", "-business_date", "-created_at").distinct("organisation_id")
    green = {run.organisation_id: run for run in newest}
    return [
        replace(night, fault=EMPTY) if _is_made_good(night, green.get(night.cron_job.organisation_id)) else night
        for night in nights
    ]


def _is_made_good(night: NightStatus, green: Run | None) -> bool:
    if night.slot is None or green is None or (night.run and night.run.finished_at is None):
        return False
    organisation = night.cron_job.organisation
    if night.run is None and not is_timezone(organisation.timezone):  # nobody can tell which day it was for
        return False
    over_at = night.run.finished_at if night.run and night.run.finished_at else night.slot
    on = night.run.business_date if night.run else organisation.local_date(night.slot)
    return green.created_at >= over_at and green.business_date >= on


def _fault(job: CronJob, slot: datetime | None, run: Run | None) -> RecordText:
    if slot is None:
        return EMPTY
    if run is None:
        return record_text.NOBODY_RAN()
    if run.finished_at is None:
        return record_text.STILL_OPEN(status=run.status)
    if run.status != Run.Status.SUCCEEDED:
        return record_text.NOT_GREEN(status=run.status)
    return record_text.CLOSED_LATE() if run.finished_at > slot + _patience(job) else EMPTY


def _due_slot(job: CronJob, *, now: datetime) -> tuple[datetime | None, RecordText]:
    """Return the newest slot that is due, or why there is no telling."""
    try:
        until = now - _patience(job)
        for days in LOOK_BACK:
            after = max(job.slots_from, until - timedelta(days=days))
            due = max(slots(job.cron_expression, job.timezone, after=after, until=until), default=None)
            if due or after == job.slots_from:
                return due, EMPTY
    except ValidationError:  # an edit past the checks; beat cannot read it either
        return None, record_text.UNREADABLE()
    except Exception as error:  # any other value past the checks
        gone = not is_timezone(job.timezone)
        said = record_text.ZONE_GONE(zone=job.timezone) if gone else record_text.BROKEN(error=type(error).__name__)
        return None, said
    return None, EMPTY


def _patience(job: CronJob) -> timedelta:
    return timedelta(minutes=job.alert_after_minutes)


def find_problems(*, now: datetime) -> list[Problem]:
    """Return everything that is wrong now. Each question, and in it each row, is asked by itself."""
    nights = _ask(Kind.NIGHT, lambda: _nights_with_problems(last_nights(now=now), now=now), now=now)
    told = {problem.run.pk for problem in nights if problem.run}
    return [
        *nights,
        *_ask(Kind.NIGHT, lambda: _late_runs(told, now=now), now=now),
        *_ask(Kind.NIGHT, lambda: _not_concluded(now=now), now=now),
        *_ask(Kind.COMPONENT, lambda: _silent_components(now=now), now=now),
        *_ask(Kind.DELIVERY, lambda: _backlog(now=now), now=now),
        *_ask(Kind.DELIVERY, lambda: _refusals(now=now), now=now),
        *_ask(Kind.DEVIATION, lambda: _deviations(now=now), now=now),
        *_ask(Kind.DRIFT, lambda: _drift(now=now), now=now),
        *_ask(Kind.SCHEDULE, lambda: _unwatched(now=now), now=now),
        *_ask(Kind.CLOCK, lambda: _clock(now=now), now=now),
    ]


def _ask(kind: Incident.Kind, question: Callable[[], Iterable[Problem]], *, now: datetime) -> list[Problem]:
    """Ask one question. One that breaks is a problem itself, and what was wrong of its kind before stays so."""
    try:
        return list(question())
    except WATCH_ENDS:
        raise
    except Exception as error:
        still = Incident.objects.filter(kind=kind, ended_at=None)
        return [
            _not_looked_at(kind, f"look:{kind}", error, now=now),
            *(
                Problem(
                    kind=kind,
                    key=incident.key,
                    title=incident.title,
                    details=incident.details,
                    began_at=incident.began_at,
                    unconfirmed=True,
                )
                for incident in still
            ),
        ]


def _not_looked_at(
    kind: Incident.Kind, key: str, error: Exception, *, now: datetime, organisation: Organisation | None = None
) -> Problem:
    log.error("not looked at", event_name="not_looked_at", key=key, error=type(error).__name__)
    return Problem(
        kind=kind,
        key=key,
        title=record_text.NOT_LOOKED_AT(key=key),
        details=record_text.BROKEN(error=type(error).__name__),
        began_at=now,
        organisation=organisation,
    )


def find_cause(problem: Problem, *, now: datetime) -> RecordText:
    """Return why a slot was not run at its time, as far as that can be told; nothing of other problems."""
    if problem.cron_job is None or problem.slot is None:
        return EMPTY
    return problem.run.cause if problem.run else causes.why_not_run(problem.cron_job, problem.slot, now=now)


def expect_components(*, now: datetime) -> None:
    """Let components that were never heard of count from now on, so that one that never comes is missed too."""
    never = [Heartbeat(component=component, at=now) for component in CHAIN]
    Heartbeat.objects.bulk_create(never, ignore_conflicts=True)


def _nights_with_problems(nights: Sequence[NightStatus], *, now: datetime) -> Iterator[Problem]:
    problems = [_try_night_problem(night, now=now) for night in nights if night.fault]
    late = [problem.key for problem in problems if problem.run and problem.run.status == Run.Status.SUCCEEDED]
    # A night that is over, though late, stands for itself only as long as nobody knows of it.
    incidents = Incident.objects.filter(key__in=late) if late else Incident.objects.none()
    known = set(incidents.values_list("key", "began_at"))
    return (problem for problem in problems if problem.key not in late or (problem.key, problem.began_at) not in known)


def _try_night_problem(night: NightStatus, *, now: datetime) -> Problem:
    try:
        return _night_problem(night)
    except Exception as error:
        job = night.cron_job
        return _not_looked_at(Kind.NIGHT, f"night:{job.pk}", error, now=now, organisation=job.organisation)


def _night_problem(night: NightStatus) -> Problem:
    job, run = night.cron_job, night.run
    name = _one_line(f"{night.organisation} {night.job}")
    if night.slot is None:
        title = record_text.SCHEDULE_UNREADABLE(job=name)
    else:
        phrase = TITLES[Run.Status(run.status)] if run else record_text.NIGHT_NOT_RUN
        title = phrase(job=name, slot=f"{night.slot.astimezone(ZoneInfo(job.timezone)):%d %b %H:%M}")
    failed = sum(count.get("failed", 0) for count in run.counts.values()) if run else 0
    details = night.fault + (record_text.FAILED_ITEMS(count=failed) if failed else EMPTY)
    return Problem(
        kind=Kind.NIGHT,
        key=f"night:{job.pk}",
        title=title,
        details=details + (record_text.RUN(run=run.pk) if run else EMPTY),
        began_at=night.slot or job.updated_at,
        organisation=job.organisation,
        cron_job=job,
        run=run,
        slot=night.slot,
    )


def _late_runs(told: set[UUID], *, now: datetime) -> Iterator[Problem]:
    """Yield the open runs that stand for no night, started by hand or retried, and do not come to an end.

    Of one that is held, people were told; but where its schedule was removed, no night reminds them any more.
    """
    watched = Q(status=Run.Status.HELD) & (Q(cron_job__isnull=False) | Q(scheduled_for=None))
    for run in Run.objects.open().exclude(watched).select_related("organisation", "cron_job"):
        if run.pk in told:
            continue
        try:
            problem = _late_run(run, now=now)
        except Exception as error:
            problem = _not_looked_at(Kind.NIGHT, f"run:{run.pk}", error, now=now, organisation=run.organisation)
        if problem:
            yield problem


def _late_run(run: Run, *, now: datetime) -> Problem | None:
    patience = _patience(run.cron_job) if run.cron_job else timedelta(minutes=60)
    began_at = run.started_at or run.created_at  # a run that is retried hours later starts anew
    if now - max(began_at, run.scheduled_for or began_at) <= patience:
        return None
    local = began_at.astimezone(ZoneInfo(run.organisation.timezone))
    return Problem(
        kind=Kind.NIGHT,
        key=f"run:{run.pk}",
        title=record_text.RUN_NOT_FINISHED(organisation=run.organisation.slug, begun=f"{local:%d %b %H:%M}"),
        details=record_text.STILL_OPEN(status=run.status) + record_text.RUN(run=run.pk),
        began_at=began_at,
        organisation=run.organisation,
        run=run,
    )


def _not_concluded(*, now: datetime) -> Iterator[Problem]:
    """Yield the closed runs that are not sealed and told of, though the sweep has tried it for an hour."""
    for run in (
        Run.objects.not_concluded().filter(finished_at__lte=now - CONCLUDED_WITHIN).select_related("organisation")
    ):
        closed_at = run.finished_at or now
        yield Problem(
            kind=Kind.NIGHT,
            key=f"conclude:{run.pk}",
            title=record_text.RUN_NOT_CONCLUDED(organisation=run.organisation.slug, day=f"{run.business_date:%d %b}"),
            details=record_text.CLOSED_BUT_NOT_CONCLUDED(at=_utc(closed_at)) + record_text.RUN(run=run.pk),
            began_at=closed_at,
            organisation=run.organisation,
        )


def _silent_components(*, now: datetime) -> Iterator[Problem]:
    """Yield the components that were not heard of, the first of the chain for certain: those after it depend on it.

    What has just come back needs a while until the next can be heard of again.
    """
    heard = last_heard()
    outages = list(Outage.objects.filter(until_at__gt=now - SILENT_AFTER))
    back = {outage.component for outage in outages}
    upstream_is_well = True
    for component in Component:
        is_silent = component in heard and heard[component] <= now - SILENT_AFTER
        if is_silent:
            # The watchdog depends on none; but if others were away just now, so was perhaps the whole machine.
            certain = upstream_is_well if component in CHAIN else not back
            certain = certain and not _were_others_away(component, heard[component], outages, now=now)
            yield _component_problem(component, heard[component], unconfirmed=not certain)
        if component in CHAIN:
            # Beat may have stopped seconds after the broker took its last message: it is heard of now, or not well.
            is_heard = component in heard and heard[component] > now - TOLERANCE[component]
            upstream_is_well = upstream_is_well and is_heard and component not in back


def _were_others_away(component: Component, heard_at: datetime, outages: Sequence[Outage], *, now: datetime) -> bool:
    """Whether others have come back just now who fell silent with the part: then it was the database that was away."""
    return any(
        outage.component != component
        and outage.until_at > now - SETTLE_TIME
        and outage.from_at < heard_at + SETTLE_TIME
        for outage in outages
    )


def _component_problem(component: Component, heard_at: datetime, *, unconfirmed: bool) -> Problem:
    return Problem(
        kind=Kind.COMPONENT,
        key=f"component:{component}",
        title=record_text.COMPONENT_SILENT(component=component.value),
        details=record_text.LAST_HEARD(at=_utc(heard_at)),
        began_at=heard_at,
        unconfirmed=unconfirmed,
    )


def _backlog(*, now: datetime) -> Iterator[Problem]:
    if backlog := find_backlog(now=now):
        yield Problem(
            kind=Kind.DELIVERY,
            key="delivery",
            title=record_text.MESSAGES_WAIT(),
            details=record_text.OLDEST_WAITS(at=_utc(backlog.since)),
            began_at=backlog.since,
        )


def _refusals(*, now: datetime) -> Iterator[Problem]:
    if refusals := find_refusals(now=now):
        yield Problem(
            kind=Kind.DELIVERY,
            key="refusals",
            title=record_text.MESSAGES_REFUSED(),
            details=record_text.GIVEN_UP_OF(count=refusals.count, total=refusals.total),
            began_at=refusals.since,
        )


def _deviations(*, now: datetime) -> Iterator[Problem]:
    recent = Run.objects.filter(
        concluded_at__isnull=False, created_at__gt=now - DEVIATION_LASTS, created_at__lte=latest_believed(now=now)
    )
    newest = recent.order_by("organisation_id", "-created_at", "-id").distinct("organisation_id")
    for run in newest.select_related("organisation", "cron_job"):
        if run.deviation:
            slug, day = run.organisation.slug, f"{run.business_date:%d %b}"
            yield Problem(
                kind=Kind.DEVIATION,
                key=f"deviation:{run.pk}",
                title=record_text.NIGHT_DEVIATES(organisation=slug, day=day),
                details=run.deviation + record_text.RUN(run=run.pk),
                began_at=run.finished_at or run.created_at,
                organisation=run.organisation,
                cron_job=run.cron_job,
            )


def _drift(*, now: datetime) -> Iterator[Problem]:
    jobs = {job.pk: job for job in CronJob.objects.select_related("organisation")}
    for job_id, differences in find_drift(jobs.values()).items():
        job = jobs[job_id]
        yield Problem(
            kind=Kind.DRIFT,
            key=f"drift:{job_id}",
            title=record_text.BEAT_DIFFERS(job=_one_line(f"{job.organisation.slug} {job.name}")),
            details=differences,
            began_at=now,
            organisation=job.organisation,
            cron_job=job,
        )


def _unwatched(*, now: datetime) -> Iterator[Problem]:
    """Yield the organisations whose nights nobody begins, or whose days nobody can reckon."""
    active = Mentor.objects.active().filter(organisation=OuterRef("pk"))
    scheduled = CronJob.objects.filter(organisation=OuterRef("pk"), enabled=True)
    for organisation in Organisation.objects.annotate(is_unwatched=Exists(active) & ~Exists(scheduled)):
        if organisation.is_unwatched:
            yield Problem(
                kind=Kind.SCHEDULE,
                key=f"unwatched:{organisation.pk}",
                title=record_text.NO_SCHEDULE(organisation=organisation.slug),
                details=record_text.NOT_WATCHED(),
                began_at=now,
                organisation=organisation,
            )
        if not is_timezone(organisation.timezone):
            yield Problem(
                kind=Kind.SCHEDULE,
                key=f"zone:{organisation.pk}",
                title=record_text.ORGANISATION_ZONE_GONE(organisation=organisation.slug),
                details=record_text.ZONE_GONE(zone=organisation.timezone),
                began_at=now,
                organisation=organisation,
            )


def _clock(*, now: datetime) -> Iterator[Problem]:
    if found := find_ahead(now=now):
        yield Problem(
            kind=Kind.CLOCK,
            key="clock",
            title=record_text.CLOCK_AHEAD(),
            details=record_text.WRITTEN_AHEAD(what=found),
            began_at=now,
        )


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %H:%M} UTC"
