"""The desk for schedules and runs: what ran, when, and what it did to whom."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cronjobs import nightly, schedule
from cronjobs.models import CronJob, Run, RunItem
from mentors.admin import ReadOnlyAdmin


@admin.register(CronJob)
class CronJobAdmin(admin.ModelAdmin[CronJob]):
    fields = ("organisation", "name", "cron_expression", "timezone", "enabled", "pause_note", "alert_after_minutes")
    list_display = ("name", "organisation", "cron_expression", "timezone", "enabled")
    list_select_related = ("organisation",)

    def save_model(self, request: HttpRequest, obj: CronJob, form: ModelForm[CronJob], change: bool) -> None:
        now = timezone.now()
        obj.slots_from = obj.slots_from or now
        super().save_model(request, obj, form, change)
        schedule.keep_in_step(obj, now=now)

    def delete_model(self, request: HttpRequest, obj: CronJob) -> None:
        schedule.remove_cron_job(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        for job in queryset:
            schedule.remove_cron_job(job)


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("business_date", "organisation", "trigger", "status", "started_at", "finished_at")
    list_filter = ("organisation", "status", "trigger")
    list_select_related = ("organisation",)
    actions = ("approve", "reject")

    @admin.action(description=_("Approve the held runs"))
    def approve(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        for run in queryset.filter(status=Run.Status.HELD):
            schedule.approve(run.pk, by=request.user.get_username(), now=timezone.now())
            messages.success(request, f"{run} approved.")

    @admin.action(description=_("Reject the held runs"))
    def reject(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        for run in queryset.filter(status=Run.Status.HELD):
            nightly.reject_run(
                run.pk, by=request.user.get_username(), reason="decided in the admin", now=timezone.now()
            )
            messages.success(request, f"{run} rejected.")


@admin.register(RunItem)
class RunItemAdmin(ReadOnlyAdmin):
    list_display = ("at", "run", "action", "mentor", "type", "expires_on", "stage", "status", "outcome")
    list_filter = ("action", "status")
    list_select_related = ("run", "mentor")
    search_fields = ("mentor__name", "mentor__ref")
