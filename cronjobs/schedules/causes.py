"""Why a slot has no run of its own: what the record says of a night that was made up or missed.

Times are of the job's zone. What is known is said, the likeliest first; what is not known is not made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q

from cronjobs import record_text
from cronjobs.models import CronJob, Run
from cronjobs.outages import describe_outages, local_time
from cronjobs.schedules.drift import find_drift
from mentors.record_text import RecordText, join

# A component may be heard of right at a slot, and fail at it.
SECONDS_AFTER = timedelta(seconds=10)


def why_not_run(job: CronJob, slot: datetime, *, now: datetime) -> RecordText:
    """Say why nobody ran the slot at its time. It may name who switched the job off, and nobody else."""
    if job.was_off_at(slot):
        return _pause(job)
    zone = ZoneInfo(job.timezone)
    found = describe_outages(slot, slot + SECONDS_AFTER, zone=zone, now=now)
    if drift := find_drift([job]).get(job.pk):
        found += record_text.DRIFTED() + drift
    found += join(_open_runs(job, slot, zone=zone))
    found = found or record_text.CAUSE_NOT_FOUND()
    return found if job.enabled else found + _pause(job)


def _pause(job: CronJob) -> RecordText:
    at = local_time(job.paused_at, ZoneInfo(job.timezone)) if job.paused_at else ""
    match bool(job.paused_by), bool(at):
        case True, True:
            phrase = record_text.PAUSED_JOB_BY_AT
        case True, False:
            phrase = record_text.PAUSED_JOB_BY
        case False, True:
            phrase = record_text.PAUSED_JOB_AT
        case _:
            phrase = record_text.PAUSED_JOB
    return phrase(by=job.paused_by, at=at, said=job.pause_note)


def _open_runs(job: CronJob, slot: datetime, *, zone: ZoneInfo) -> Iterator[RecordText]:
    """Name the organisation's run that was open at the slot; while there is one, no other begins."""
    in_the_way = Run.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=slot), organisation=job.organisation, created_at__lte=slot
    )
    for run in in_the_way.exclude(status=Run.Status.MISSED).order_by("created_at"):
        phrase = record_text.IN_THE_WAY if run.finished_at else record_text.STILL_IN_THE_WAY
        until = local_time(run.finished_at, zone) if run.finished_at else ""
        yield phrase(run=run.pk, since=local_time(run.created_at, zone), until=until)
