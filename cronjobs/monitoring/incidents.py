"""From what is wrong to who was told: an incident is opened once, told, told again while it lasts, and cleared.

    reconcile ─ opens, keeps and ends incidents; the open ones are unique by key, so two watchers open one
    notify ──── claims what is due by compare-and-set, sends it outside of every transaction, notes every attempt

An alarm that no route took is claimed by nobody: the next round tries again. If its incident is over by then, one
message says both. The watchdog looks every half a minute, and the workers after each sweep.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef, Q

from cronjobs import clock, record_text
from cronjobs.models import Alert, Incident
from cronjobs.monitoring import alert_text
from cronjobs.monitoring.alerts import AlertSender
from cronjobs.monitoring.problems import WATCH_ENDS, WATCHED, Problem, find_cause, find_problems
from cronjobs.sweep import Failure
from mentors.clock import latest_believed, shared_now
from mentors.record_text import EMPTY, RecordText
from notifications.models import Notification
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

HOURLY, DAILY = timedelta(hours=1), timedelta(days=1)
# A watcher that was killed while it told has told by then, or never will.
CLAIM_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class DueAlert:
    """An incident that operations are to be told of now."""

    incident: Incident
    event: Alert.Event


def look(*, now: datetime) -> bool:
    """Find what is wrong, and tell of it; return whether all that had to be told was. Raises ClocksDiffer."""
    shared_now(now=now)  # by a wrong clock nothing is judged
    due = reconcile(find_problems(now=now), now=now, kinds=WATCHED)
    clock.mend(now=now)
    return notify(due, now=now, sender=AlertSender())


def report_records(faults: Mapping[str, Sequence[str]], *, now: datetime) -> bool:
    """Tell of records that do not agree with their seals, by the organisation's slug; all organisations at once.

    Return whether all that had to be told was.
    """
    problems = [
        Problem(
            kind=Incident.Kind.RECORDS,
            key=f"records:{slug}",
            title=record_text.RECORDS_DISAGREE(organisation=slug),
            details=record_text.VERIFY_FOUND(count=len(found)),
            began_at=now,
        )
        for slug, found in faults.items()
        if found
    ]
    return notify(reconcile(problems, now=now, kinds={Incident.Kind.RECORDS}), now=now, sender=AlertSender())


def report_sweep(failures: Sequence[Failure], *, now: datetime) -> bool:
    """Tell of what the sweep could not do; return whether all that had to be told was."""
    problems = [
        Problem(
            kind=Incident.Kind.SWEEP,
            key=f"sweep:{failure.step}",
            title=record_text.SWEEP_FAILS(step=failure.step),
            details=record_text.BROKEN(error=failure.error),
            began_at=now,
            organisation=failure.organisation,
        )
        for failure in failures
    ]
    return notify(reconcile(problems, now=now, kinds={Incident.Kind.SWEEP}), now=now, sender=AlertSender())


def reconcile(problems: Sequence[Problem], *, now: datetime, kinds: Collection[Incident.Kind]) -> list[DueAlert]:
    """Open, keep and end the incidents of these kinds, of which the problems are all there are; return what to tell.

    `now` is when the caller began to look: what another watcher has opened or ended since is left alone.
    """
    incidents = {incident.key: incident for incident in Incident.objects.filter(ended_at=None, kind__in=kinds)}
    for problem in problems:
        if problem.key in incidents:
            _keep(incidents[problem.key], problem, now=now)
    _open([problem for problem in problems if problem.key not in incidents and not problem.unconfirmed], now=now)
    keys = {problem.key for problem in problems}
    over = [
        incident.pk
        for incident in incidents.values()
        if incident.key not in keys and not now <= incident.seen_at <= latest_believed(now=now)
    ]
    if over:
        Incident.objects.filter(pk__in=over, ended_at=None).update(ended_at=now)
        log.info("incidents ended", event_name="incidents_ended", incidents=over)
    return find_due(now=now)


def find_due(*, now: datetime) -> list[DueAlert]:
    """Return what operations are to be told of: once, each hour of the first day, each day after that, and at the end.

    A test of the alarm is told of by whoever makes it.
    """
    known = Alert.objects.filter(incident=OuterRef("pk"), at__gte=OuterRef("notified_at"))
    incidents = Incident.objects.exclude(kind=Incident.Kind.TEST).select_related("organisation", "cron_job")
    current = incidents.filter(Q(ended_at=None) | Q(ended_at__isnull=False, cleared_at=None))
    found = current.annotate(is_known=Exists(known)).order_by("pk")
    return [DueAlert(incident=incident, event=event) for incident in found if (event := _event(incident, now=now))]


def _event(incident: Incident, *, now: datetime) -> Alert.Event | None:
    if incident.ended_at:
        return Alert.Event.CLEARED
    if incident.notified_at is None:
        return Alert.Event.RAISED
    since = now - incident.notified_at
    if not incident.is_known and since >= CLAIM_TIMEOUT:  # type: ignore[attr-defined]  # annotated
        return Alert.Event.RAISED
    if incident.kind == Incident.Kind.CLOCK:  # there is nothing more to do but to wait until the records are true
        return None
    every = HOURLY if now - incident.seen_at < DAILY else DAILY
    return Alert.Event.STILL if since >= every else None


def notify(due: Sequence[DueAlert], *, now: datetime, sender: AlertSender) -> bool:
    """Tell what nobody else is telling; return whether all of it was taken by some route, or there are no routes."""
    all_notified = True
    for each in due:
        if sender.has_given_up:
            return False
        try:
            if claim(each, now=now):
                errors = notify_claimed(each, now=now, sender=sender)
                all_notified = not all(errors.values()) and all_notified
        except WATCH_ENDS:
            raise
        except Exception as error:
            # One alert's trouble must not keep the others from being told.
            log.error("alert broke", event_name="alert_broke", key=each.incident.key, error=type(error).__name__)
            all_notified = False
    return all_notified or not sender.routes


def claim(due: DueAlert, *, now: datetime) -> bool:
    """Take it on oneself to tell this, as the only one; return False if somebody else has, or the incident is over."""
    incident, field = due.incident, _claim_field(due)
    unclaimed = Incident.objects.filter(pk=incident.pk, **{field: getattr(incident, field)})
    if due.event != Alert.Event.CLEARED:
        unclaimed = unclaimed.filter(ended_at=None)
    return unclaimed.update(**{field: now}) == 1


def notify_claimed(due: DueAlert, *, now: datetime, sender: AlertSender) -> dict[str, str]:
    """Send it by every route and note each attempt; return them with why they failed. If all did, the claim is void."""
    incident = due.incident
    log.warning("alarm", event_name=f"alarm_{due.event}", kind=incident.kind, key=incident.key, incident=incident.pk)
    try:
        errors = sender.send(alert_text.write_alert(incident, due.event))
        Alert.objects.bulk_create(
            Alert(incident=incident, event=due.event, route=route, at=now, error=error)
            for route, error in errors.items()
        )
    except BaseException:  # a stop of the process too: who comes next tells it
        _release_claim(due, now=now)
        raise
    if sender.routes and all(errors.values()):
        _release_claim(due, now=now)
    return errors


def _release_claim(due: DueAlert, *, now: datetime) -> None:
    field = _claim_field(due)
    mine = Incident.objects.filter(pk=due.incident.pk, **{field: now})
    mine.update(**{field: getattr(due.incident, field)})


def _claim_field(due: DueAlert) -> str:
    return "cleared_at" if due.event == Alert.Event.CLEARED else "notified_at"


def _open(problems: Sequence[Problem], *, now: datetime) -> None:
    if not problems:
        return
    # What another watcher has ended while this one was still looking is over.
    just_now = (now, latest_believed(now=now))
    over = Incident.objects.filter(key__in=[problem.key for problem in problems], ended_at__range=just_now)
    ended = set(over.values_list("key", flat=True))
    new = [problem for problem in problems if problem.key not in ended]
    incidents = [
        Incident(
            kind=problem.kind,
            key=problem.key,
            organisation=problem.organisation,
            cron_job=problem.cron_job,
            title=problem.title,
            details=_details(problem, now=now),
            began_at=problem.began_at,
            seen_at=now,
        )
        for problem in new
    ]
    Incident.objects.bulk_create(incidents, ignore_conflicts=True)
    for problem in new:
        if problem.kind == Incident.Kind.NIGHT and problem.is_late:
            try:
                _notify_coordinators(problem, now=now)
            except WATCH_ENDS:
                raise
            except Exception as error:
                log.error("alert broke", event_name="alert_broke", key=problem.key, error=type(error).__name__)


def _details(problem: Problem, *, now: datetime) -> RecordText:
    try:
        cause = find_cause(problem, now=now)
    except WATCH_ENDS:
        raise
    except Exception as error:  # the alarm is told without it
        log.error("not looked at", event_name="not_looked_at", key=problem.key, error=type(error).__name__)
        cause = EMPTY
    return problem.details + record_text.LIKELY_CAUSE(cause=cause) if cause else problem.details


def _keep(incident: Incident, problem: Problem, *, now: datetime) -> None:
    """Write down what has changed; another slot of the same job is told of at once."""
    is_another_night = problem.kind == Incident.Kind.NIGHT and problem.began_at != incident.began_at
    says_the_same = incident.title == problem.title and incident.details.startswith(problem.details)
    if problem.unconfirmed or (says_the_same and not is_another_night):
        return
    changes: dict[str, object] = {"title": problem.title, "details": _details(problem, now=now)}
    if is_another_night:
        changes |= {"began_at": problem.began_at, "notified_at": None}
    # Under what was read: of two watchers that see the new slot, one has it told.
    unchanged = Incident.objects.filter(pk=incident.pk, began_at=incident.began_at, details=incident.details)
    unchanged.update(**changes)


def _notify_coordinators(problem: Problem, *, now: datetime) -> None:
    """Tell the organisation-wide coordinators that a run is late, in their language; operations have the alarm."""
    assert problem.run  # noqa: S101  or it would not be late
    get_notification_service().warn(
        organisation=problem.run.organisation,
        kind=Notification.Kind.LATE,
        key=f"late:{problem.run.pk}",
        facts={},
        now=now,
        run_id=problem.run.pk,
        operations=False,
    )
