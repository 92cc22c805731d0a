"""What operations read of an incident: what, since when, and what to do, with the place in docs/operations.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from cronjobs.models import Alert, Incident, Run
from cronjobs.monitoring.alerts import AlertMessage
from mentors.models import is_timezone

# By kind: what to do first, and the section of docs/operations.md that says more.
RUNBOOK = {
    Incident.Kind.NIGHT: (
        "Look whether beat, Redis, the workers and the database are up: the run then goes on by itself.",
        "Night not in order",
    ),
    Incident.Kind.COMPONENT: ("Start or restart the part, and look at its log.", "A component is silent"),
    Incident.Kind.DELIVERY: ("Look at the mail server or gateway, and at the workers.", "Messages do not leave"),
    Incident.Kind.DEVIATION: (
        "Look at the run: does what it did fit what has happened?",
        "A night differs from what was expected",
    ),
    Incident.Kind.DRIFT: ("Decide which of the two is meant, and set it in the job.", "Beat has another schedule"),
    Incident.Kind.SCHEDULE: (
        "Give the organisation a schedule, or a time zone that there is.",
        "No schedule that works",
    ),
    Incident.Kind.CLOCK: ("Look at the clocks of all machines. What waited for it goes on.", "A clock was ahead"),
    Incident.Kind.SWEEP: ("Look at the log of who sweeps, a worker or the watchdog.", "The sweep fails"),
    Incident.Kind.RECORDS: ("Keep a copy of the database, and ask who has changed records.", "Records do not agree"),
    Incident.Kind.WEB: ("Look at the web server and the proxy before it.", "The web server does not answer"),
    Incident.Kind.TEST: ("Nothing: somebody tests whether the alarm arrives.", "Is the alarm heard?"),
}
DATABASE = ("Look at the PostgreSQL server and the way to it.", "The database does not answer")
PREFIXES = {Alert.Event.RAISED: "", Alert.Event.STILL: "Still: ", Alert.Event.CLEARED: "All clear: "}


def write_alert(incident: Incident, event: Alert.Event) -> AlertMessage:
    """Write of an incident that is in the database."""
    details = incident.details.in_english()
    zone = incident.cron_job.timezone if incident.cron_job else "UTC"
    more = [details]
    if event == Alert.Event.CLEARED:
        assert incident.ended_at  # noqa: S101  only what is over is cleared
        over = f"It is over since {_local(incident.ended_at, zone)}."
        untold = "No route took the alarm while it lasted, so this is the first you hear of it."
        told = "" if incident.notified_at else untold
        more = [_what_became_of_the_run(incident, zone), over, told, "It was:", details]
    link = f"{settings.PUBLIC_URL}/admin/cronjobs/incident/{incident.pk}/change/" if settings.PUBLIC_URL else ""
    return compose(
        title=incident.title.in_english(),
        event=event,
        since=_local(incident.began_at, zone),
        details=more,
        runbook=RUNBOOK[Incident.Kind(incident.kind)],
        end=f"Incident {incident.pk}. {link}".strip(),
    )


def compose(
    *, title: str, event: Alert.Event, since: str, details: Sequence[str], runbook: tuple[str, str], end: str = ""
) -> AlertMessage:
    """Write the alert; an all-clear says nothing of what to do."""
    first, section = runbook
    todo = [f"What to do: {first}"] if event != Alert.Event.CLEARED else []
    lines = [*details, f"Since: {since}", *todo, f"More: docs/operations.md, “{section}”.", end]
    return AlertMessage(subject=f"[Nattevakt] {PREFIXES[event]}{title}", body="\n".join(filter(None, lines)) + "\n")


def _what_became_of_the_run(incident: Incident, zone: str) -> str:
    """Say how the run of the slot was closed, and why it was made up, if so."""
    if incident.kind != Incident.Kind.NIGHT or incident.cron_job is None:
        return ""
    run = Run.objects.filter(cron_job=incident.cron_job, scheduled_for=incident.began_at).first()
    if run is None or run.finished_at is None:
        return ""
    return f"Run {run.pk} was closed at {_local(run.finished_at, zone)}: {run.status}. {run.cause.in_english()}".strip()


def _local(moment: datetime, zone: str) -> str:
    if not is_timezone(zone):  # what is wrong may be just that
        zone = "UTC"
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %Y %H:%M} {zone}"
