"""Beat's own tables and Celery's results, for operations. Who edits a job's entry there makes it drift."""

from __future__ import annotations

from django.contrib import admin
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

for model in (ClockedSchedule, CrontabSchedule, GroupResult, IntervalSchedule, PeriodicTask, SolarSchedule, TaskResult):
    admin.site.unregister(model)


@admin.register(IntervalSchedule)
class IntervalScheduleDesk(ModelAdmin):
    """Every so often."""


@admin.register(CrontabSchedule)
class CrontabScheduleDesk(CrontabScheduleAdmin, ModelAdmin):  # type: ignore[misc]
    """At these times."""


@admin.register(PeriodicTask)
class PeriodicTaskDesk(PeriodicTaskAdmin, ModelAdmin):  # type: ignore[misc]
    """What beat sends."""


@admin.register(TaskResult)
class TaskResultDesk(TaskResultAdmin, ModelAdmin):  # type: ignore[misc]
    """What became of a task."""
