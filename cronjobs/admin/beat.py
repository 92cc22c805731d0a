"""Beat's own tables and Celery's results, for operations. Who edits a job's entry there makes it drift."""

from __future__ import annotations

from typing import Any

from celery.schedules import ParseException
from django.contrib import admin
from django.db.models import Field, Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult

from mentors.accounts.scope import Permission
from mentors.desk.lists import ListAdmin
from mentors.desk.scoped import scope_of

for model in (ClockedSchedule, CrontabSchedule, GroupResult, IntervalSchedule, PeriodicTask, SolarSchedule, TaskResult):
    admin.site.unregister(model)


class ForOperations(ListAdmin):
    """Roles decide here too. Django's own permissions would be two queries on every page of the desk."""

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Leave out the hidden copy of a default: a time zone in it is taken for a file, however long its name is."""
        field: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.show_hidden_initial = False
        return field

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

    @admin.display(description=gettext_lazy("in words"), empty_value="–")
    def human_readable(self, schedule: CrontabSchedule) -> str | None:
        """Say it in words; what a form has refused has none."""
        try:
            return str(schedule.human_readable)
        except ParseException:
            return None


@admin.register(PeriodicTask)
class PeriodicTaskDesk(ForOperations, PeriodicTaskAdmin):  # type: ignore[misc]
    """What beat sends."""


@admin.register(TaskResult)
class TaskResultDesk(ForOperations, TaskResultAdmin):  # type: ignore[misc]
    """What became of a task."""
