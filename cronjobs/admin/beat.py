"""Beat's own tables and Celery's results, for operations. Who edits a job's entry there makes it drift."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin

from mentors.accounts.scope import Permission
from mentors.desk.scoped import scope_of

for model in (ClockedSchedule, CrontabSchedule, GroupResult, IntervalSchedule, PeriodicTask, SolarSchedule, TaskResult):
    admin.site.unregister(model)


class ForOperations(ModelAdmin):
    """Roles decide here too. Django's own permissions would be two queries on every page of the desk."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return scope_of(request).may(Permission.OPERATE)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return scope_of(request).may(Permission.OPERATE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return scope_of(request).may(Permission.OPERATE)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return scope_of(request).may(Permission.OPERATE)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return scope_of(request).may(Permission.OPERATE)


@admin.register(IntervalSchedule)
class IntervalScheduleDesk(ForOperations):
    """Every so often."""


@admin.register(CrontabSchedule)
class CrontabScheduleDesk(ForOperations, CrontabScheduleAdmin):  # type: ignore[misc]
    """At these times."""


@admin.register(PeriodicTask)
class PeriodicTaskDesk(ForOperations, PeriodicTaskAdmin):  # type: ignore[misc]
    """What beat sends."""


@admin.register(TaskResult)
class TaskResultDesk(ForOperations, TaskResultAdmin):  # type: ignore[misc]
    """What became of a task."""
