"""The entries in beat's own tables, and edits of them past everything that would notice."""

from __future__ import annotations

from typing import Any

from django_celery_beat.models import CrontabSchedule, PeriodicTask

from cronjobs.models import CronJob


def entry_of(job: CronJob) -> PeriodicTask:
    return PeriodicTask.objects.select_related("crontab").get(name=f"nightly:{job.pk}")


def edit(job: CronJob, **fields: Any) -> None:
    PeriodicTask.objects.filter(name=f"nightly:{job.pk}").update(**fields)
    job.refresh_from_db()


def edit_crontab(job: CronJob, **fields: Any) -> None:
    CrontabSchedule.objects.filter(pk=entry_of(job).crontab_id).update(**fields)
