"""What a clock that was ahead has written: found, and set right (rule 13).

A stored time that steers something is believed until now, or as far ahead as it may rightly lie. One that lies beyond
would hold that up for as long as the clock was ahead. So each look of the watch finds them, tells of them as an
incident, and sets them to now: to the database's, for the watcher's own clock may be the one that is wrong. What is a
record (runs, status changes, seals) stays as it was written; but the slot of such a run is free again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, QuerySet, Value
from django_celery_beat.models import PeriodicTask
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from cronjobs.models import CronJob, Heartbeat, Incident, Outage, Run, RunItem
from mentors.clock import TOLERANCE, latest_believed, shared_now
from mentors.models import Organisation
from notifications import rates
from notifications.claims import LEASE
from notifications.models import HostBudget, Notification

# A retry waits for what a host has asked for, a day at most, and then for the sending hours.
LONGEST_WAIT = timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Times:
    """Stored times of one kind, and how far ahead they may rightly lie."""

    name: str
    rows: QuerySet[Any]
    field: str
    ahead: timedelta = timedelta()
    also: tuple[str, ...] = ()  # is wrong with it

    def beyond(self, *, now: datetime) -> QuerySet[Any]:
        limit = latest_believed(now=now, ahead=self.ahead)
        return self.rows.filter(**{f"{self.field}__gt": limit}).order_by()


def _times_that_steer() -> Iterator[Times]:
    yield Times(name="heartbeats", rows=Heartbeat.objects.all(), field="at")
    yield Times(name="outages", rows=Outage.objects.all(), field="until_at")
    yield Times(name="beat's entries", rows=PeriodicTask.objects.all(), field="last_run_at")
    yield Times(name="schedules", rows=CronJob.objects.all(), field="slots_from")
    for field in ("seen_at", "notified_at", "ended_at", "cleared_at"):
        yield Times(name="incidents", rows=Incident.objects.all(), field=field)
    for device in (TOTPDevice, StaticDevice):  # after a wrong code the next one has to wait
        yield Times(name="second factors", rows=device.objects.all(), field="throttling_failure_timestamp")
    longest_retry = timedelta(seconds=settings.VISIBILITY_TIMEOUT_SECONDS)
    yield Times(name="retries", rows=RunItem.objects.pending(), field="at", ahead=longest_retry)
    yield Times(name="rates", rows=HostBudget.objects.all(), field="free_at", ahead=rates.longest_wait())
    sending = Notification.objects.filter(status=Notification.Status.SENDING)
    yield Times(name="leases", rows=sending, field="next_attempt_at", ahead=LEASE)
    queued = Notification.objects.filter(status=Notification.Status.QUEUED)
    yield Times(name="messages", rows=queued, field="created_at", also=("next_attempt_at",))
    yield Times(name="messages", rows=queued, field="next_attempt_at", ahead=LONGEST_WAIT)


def find_ahead(*, now: datetime) -> list[str]:
    """Return the kinds of rows that have times which lie too far ahead, in one question. Raises ClocksDiffer."""
    now = shared_now(now=now)
    records = Times(name="runs", rows=Run.objects.all(), field="created_at")
    first, *others = (
        times.beyond(now=now).values_list(Value(times.name))[:1] for times in (records, *_times_that_steer())
    )
    return sorted({name for (name,) in first.union(*others, all=True)})


def mend(*, now: datetime) -> None:
    """Set to now what lies too far ahead, so that nothing waits for it. Raises ClocksDiffer."""
    now = shared_now(now=now)
    for times in _times_that_steer():
        rows = times.beyond(now=now)
        if times.name == "outages":
            rows.delete()  # it says of times that are still to come that something was away
        else:
            rows.update(**dict.fromkeys((times.field, *times.also), now))
    _give_slots_back(now=now)
    _shorten_waits(now=now)


def _give_slots_back(*, now: datetime) -> None:
    """Let slots that were run before they came be run when they come; the records stay, and belong to no schedule."""
    closed = Run.objects.filter(cron_job__isnull=False, scheduled_for__isnull=False, finished_at__isnull=False)
    closed.filter(created_at__gt=latest_believed(now=now)).exclude(status=Run.Status.MISSED).update(cron_job=None)


def _shorten_waits(*, now: datetime) -> None:
    """Let what was never tried wait for its organisation's sending hours, and no longer."""
    untried = Notification.objects.filter(status=Notification.Status.QUEUED, attempts=0)
    slack = TOLERANCE + rates.longest_wait()
    waiting = untried.filter(next_attempt_at__gt=now + slack).order_by().values_list("organisation")
    latest = dict(waiting.annotate(Max("next_attempt_at")))
    for organisation in Organisation.objects.filter(pk__in=latest):
        opens_at = organisation.next_sending_time(now)
        if latest[organisation.pk] > opens_at + slack:
            late = untried.filter(organisation=organisation, next_attempt_at__gt=opens_at + slack)
            late.update(next_attempt_at=opens_at)
