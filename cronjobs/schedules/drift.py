"""A job and the entry in beat's own tables that fires it: written together, and compared.

Anybody may edit beat's tables past us. Such a drift is shown and never overwritten: a job that has drifted is neither
changed nor mended until a person says which of the two schedules counts (`jobs.resolve_drift`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import CharField
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from cronjobs import record_text
from cronjobs.cron import normalise_cron
from cronjobs.models import CronJob
from mentors.conflicts import ConflictError
from mentors.record_text import RecordText, join

TASK = "cronjobs.nightly"
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
OTHER_SCHEDULES = ("interval", "solar", "clocked")
# What an entry of ours has besides its crontab: anything else would fire another thing, or not always.
PLAIN: dict[str, Any] = {
    "task": TASK,
    "queue": None,
    "exchange": None,
    "routing_key": None,
    "priority": None,
    "one_off": False,
    "start_time": None,
    "expires": None,
    "expire_seconds": None,
}


class ScheduleDrifted(ConflictError):
    """Somebody has edited beat's tables, and a change of the job would overwrite that."""

    code = "schedule_drifted"
    message = _(
        "Beat's own tables differ from this job: %(drift)s Say first which counts: keep the job's schedule, or take "
        "over beat's."
    )

    def __init__(self, job: CronJob, drift: RecordText) -> None:
        super().__init__(self.message % {"drift": drift}, id=job.pk)


class CannotTakeOver(ConflictError):
    """What beat's tables say of the job is nothing that a job can have."""

    code = "beats_schedule_unusable"
    message = _("Beat's schedule cannot be taken over: %(reason)s Keep the job's schedule instead.")

    def __init__(self, job: CronJob, reason: str) -> None:
        super().__init__(self.message % {"reason": reason}, id=job.pk)


def find_drift(jobs: Iterable[CronJob]) -> dict[int, RecordText]:
    """Say of each job that has drifted how its entry differs, by one query."""
    jobs = list(jobs)
    # The time zone as text: one that nobody knows any more would raise as the row is read, for all of them.
    read = PeriodicTask.objects.select_related("crontab").defer("crontab__timezone")
    zone = Cast("crontab__timezone", CharField())
    entries = read.annotate(zone=zone).in_bulk({job.periodic_task_id for job in jobs} - {None})
    found = {job.pk: join(_differences(job, entries.get(job.periodic_task_id))) for job in jobs}
    return {pk: differences for pk, differences in found.items() if differences}


def refuse_if_drifted(job: CronJob) -> None:
    """Raise ScheduleDrifted if beat's entry is not what the job has made of it."""
    if drift := find_drift([job]):
        raise ScheduleDrifted(job, drift[job.pk])


def _differences(job: CronJob, entry: PeriodicTask | None) -> Iterator[RecordText]:
    if entry is None:
        yield record_text.NO_ENTRY()
        return
    if entry.enabled != job.enabled:
        yield (record_text.ENTRY_OFF if job.enabled else record_text.ENTRY_ON)()
    yield from _schedule_differences(job, entry)
    for field, plain in PLAIN.items():
        if (value := getattr(entry, field)) != plain:
            yield record_text.OTHER_VALUE(field=field, value=value, wanted=str(plain))
    for field, wanted in (("args", [job.pk]), ("kwargs", {})):
        if _read_json(getattr(entry, field), empty=type(wanted)()) != wanted:
            yield record_text.OTHER_VALUE(field=field, value=getattr(entry, field), wanted=str(wanted))


def _schedule_differences(job: CronJob, entry: PeriodicTask) -> Iterator[RecordText]:
    if entry.crontab is None:
        kind = next((kind for kind in OTHER_SCHEDULES if getattr(entry, f"{kind}_id")), "")
        yield (record_text.OTHER_KIND if kind else record_text.NO_KIND)(kind=kind)
        return
    beats = _normalised(expression_of(entry.crontab))
    if beats != _normalised(job.cron_expression):
        yield record_text.OTHER_TIMES(entry=beats, job=job.cron_expression)
    if entry.zone != job.timezone:
        yield record_text.OTHER_ZONE(entry=entry.zone, job=job.timezone)


def expression_of(crontab: CrontabSchedule) -> str:
    """Return a crontab of beat's tables as one expression."""
    return " ".join(getattr(crontab, field).replace(" ", "") for field in CRON_FIELDS)


def _normalised(expression: str) -> str:
    try:
        return normalise_cron(expression)
    except ValidationError:  # an edit past the checks
        return expression


def _read_json(text: str, *, empty: object) -> object:
    try:
        return json.loads(text) if text else empty
    except ValueError:
        return text


def write_entry(job: CronJob, *, now: datetime) -> None:
    """Write the entry by which beat fires the job as it is now, whatever there was; beat notices within seconds.

    By `save()`: beat does not notice a `QuerySet.update()`.
    """
    times = dict(zip(CRON_FIELDS, job.cron_expression.split(), strict=True)) | {"timezone": job.timezone}
    # No constraint keeps two alike apart: get_or_create would raise for ever once two jobs were made at the same time.
    crontab = CrontabSchedule.objects.filter(**times).first() or CrontabSchedule.objects.create(**times)
    name = f"nightly:{job.pk}"
    entry = job.periodic_task or PeriodicTask.objects.filter(name=name).first() or PeriodicTask()
    if entry.crontab_id != crontab.pk or (job.enabled and not entry.enabled):
        entry.last_run_at = now  # or beat would fire at once for a new time that has passed today
    values = PLAIN | dict.fromkeys(OTHER_SCHEDULES) | {"name": name, "crontab": crontab, "enabled": job.enabled}
    for field, value in (values | {"args": f"[{job.pk}]", "kwargs": "{}"}).items():
        setattr(entry, field, value)
    entry.save()
    job.periodic_task = entry
    job.save(update_fields=["periodic_task"])
