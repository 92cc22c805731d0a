"""The jobs: made, changed, switched off and on, and removed, each together with its entry in beat's own tables."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import Literal, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from cronjobs import record_text
from cronjobs.models import CronJob
from cronjobs.schedules import drift, missed_slots
from mentors.conflicts import ConflictError
from mentors.models import Organisation
from mentors.record_text import EMPTY

OFF_IN_BEAT = "Switched off in beat's own tables."


class CronJobExists(ConflictError):
    """The name of a job is unique in its organisation."""

    code = "cron_job_exists"
    message = _("%(organisation)s has a job “%(name)s” already: change it, or choose another name.")

    def __init__(self, job: CronJob) -> None:
        same = CronJob.objects.filter(organisation=job.organisation, name=job.name).exclude(pk=job.pk)
        super().__init__(
            self.message % {"organisation": job.organisation.slug, "name": job.name},
            id=same.values_list("pk", flat=True).first(),
        )


class CronJobValues(TypedDict, total=False):
    """What may be set of a job."""

    name: str
    cron_expression: str
    timezone: str
    enabled: bool
    pause_note: str
    alert_after_minutes: int


@transaction.atomic
def create_cron_job(
    *, organisation: Organisation, now: datetime, by: str = "", **values: Unpack[CronJobValues]
) -> CronJob:
    """Create a job, in the organisation's time zone unless one is given.

    Raises ValidationError by field, or CronJobExists.
    """
    job = CronJob(organisation=organisation, slots_from=now, **values)
    job.timezone = job.timezone or organisation.timezone
    job.clean_fields()
    job.clean()
    return _save(job, by=by, now=now)


@transaction.atomic
def change_cron_job(job: CronJob, *, now: datetime, by: str = "", **changes: Unpack[CronJobValues]) -> CronJob:
    """Change a job and return it as it is now; beat notices within seconds. A switched-off job needs its note.

    Raises ValidationError by field, CronJobExists, ScheduleDrifted when beat's tables have been edited, or
    CronJob.DoesNotExist when it was removed meanwhile.
    """
    job = _locked(job)
    drift.refuse_if_drifted(job)
    return _change(job, changes, by=by, now=now)


@transaction.atomic
def resolve_drift(job: CronJob, *, keep: Literal["schedule", "beat"], by: str = "", now: datetime) -> CronJob:
    """Write the job's schedule to beat again, or take over what beat's tables say. Raises CannotTakeOver."""
    job = _locked(job)
    changes: CronJobValues = {}
    if keep == "beat":
        changes = _beats_values(job)
    try:
        return _change(job, changes, by=by, now=now)
    except ValidationError as error:
        raise drift.CannotTakeOver(job, " ".join(error.messages)) from error


def _beats_values(job: CronJob) -> CronJobValues:
    entry = job.periodic_task
    if entry is None or entry.crontab is None:
        raise drift.CannotTakeOver(job, str(_("It has no crontab for the job.")))
    values = CronJobValues(
        cron_expression=drift.expression_of(entry.crontab), timezone=str(entry.crontab.timezone), enabled=entry.enabled
    )
    return values if entry.enabled or not job.enabled else {**values, "pause_note": OFF_IN_BEAT}


def _locked(job: CronJob) -> CronJob:
    # Not for a change of its key: a claim of one of its slots, which names the job, need not wait.
    return CronJob.objects.select_related("organisation").select_for_update(of=("self",), no_key=True).get(pk=job.pk)


def _change(job: CronJob, changes: CronJobValues, *, by: str, now: datetime) -> CronJob:
    before = copy(job)
    for field, value in changes.items():
        setattr(job, field, value)
    job.clean_fields()
    job.clean()
    schedules = {(each.cron_expression, each.timezone) for each in (before, job)}
    if len(schedules) > 1 or (job.enabled and not before.enabled):
        # What nobody ran of the schedule that ends here is written down: the sweep forgets what it still owed.
        with suppress(ValidationError):  # an expression that nobody can read owes nothing
            owed = missed_slots.unclaimed_slots(before, until=now)
            remark = record_text.SCHEDULE_CHANGED_BY if by else record_text.SCHEDULE_CHANGED
            missed_slots.record_missed(before, owed, now=now, remark=remark(by=by) if before.enabled else EMPTY)
        job.slots_from = now
    return _save(job, by=by, now=now)


def _save(job: CronJob, *, by: str, now: datetime) -> CronJob:
    if job.enabled:
        job.paused_by, job.paused_at = "", None
    elif job.paused_at is None:
        job.paused_by, job.paused_at = by, now
    try:
        with transaction.atomic():
            job.save()
    except IntegrityError as error:  # the constraint itself decides about the name
        raise CronJobExists(job) from error
    drift.write_entry(job, now=now)
    return job


def remove_cron_job(job: CronJob) -> None:
    """Remove a job, and by a trigger its beat entry; its runs stay."""
    job.delete()
