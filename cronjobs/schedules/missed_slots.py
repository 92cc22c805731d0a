"""Slots that came and have no run: which they are, and their record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max

from cronjobs import cron, nightly, record_text
from cronjobs.models import CronJob, Run, missed_by_a_wrong_clock
from cronjobs.schedules.causes import why_not_run
from mentors.record_text import EMPTY, RecordText

# How far back the slots of a job that is switched off are kept: nobody will run them.
LOOK_BACK = timedelta(days=40)


def unclaimed_slots(job: CronJob, *, until: datetime) -> list[datetime]:
    """Return the slots up to `until`, later than the last that is on record, that nobody claimed; oldest first.

    Raises ValidationError if the job's expression cannot be read.
    """
    # A clock that was ahead may have run slots that are still to come, and written others down as missed.
    come = Run.objects.filter(cron_job=job, scheduled_for__lte=until).exclude(missed_by_a_wrong_clock(now=until))
    last_run = come.aggregate(slot=Max("scheduled_for"))["slot"]
    after = max(last_run or job.slots_from, job.slots_from)
    if not job.enabled:
        after = max(after, until - LOOK_BACK)
    return list(cron.slots(job.cron_expression, job.timezone, after=after, until=until))


def record_missed(job: CronJob, slots: Iterable[datetime], *, now: datetime, remark: RecordText = EMPTY) -> None:
    """Write down, with the cause, that the slots never ran; one that somebody has claimed by now is left alone."""
    missed = [
        Run(
            id=id,
            organisation=job.organisation,
            cron_job=job,
            scheduled_for=slot,
            business_date=job.organisation.local_date(slot),
            trigger=Run.Trigger.SCHEDULE,
            actions=list(nightly.ALL_ACTIONS),
            status=Run.Status.MISSED,
            error=record_text.SWITCHED_OFF() if job.was_off_at(slot) else record_text.NOT_CLAIMED(),
            cause=why_not_run(job, slot, now=now) + remark,
            created_at=now,
            finished_at=now,
            code_version=settings.CODE_VERSION,
        )
        for slot, id in Run.new_ids(job.pk, slots).items()
    ]
    Run.objects.bulk_create(missed, ignore_conflicts=True)
