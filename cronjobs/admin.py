"""The desk for schedules and runs: what ran, when, and what it did to whom."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import linebreaksbr
from django.utils import timezone
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cronjobs import jobs, nightly, schedule
from cronjobs.alarm import last_proofs
from cronjobs.cron import clock_change_warnings, next_slots
from cronjobs.drift import ScheduleDrifted, find_drift, refuse_if_drifted
from cronjobs.models import (
    Alert,
    CronJob,
    Forecast,
    Heartbeat,
    Incident,
    Run,
    RunItem,
    RunSummary,
    Seal,
    Silence,
)
from mentors.admin import ReadOnlyAdmin
from mentors.refusal import Refusal


class CronJobForm(ModelForm[CronJob]):
    """A job as it is written at the desk; one whose entry in beat's tables has been edited waits for a decision."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        try:
            if self.instance.pk:  # still as it is in the database
                refuse_if_drifted(self.instance)
        except ScheduleDrifted as refusal:
            raise ValidationError(str(refusal)) from refusal
        return values


@admin.register(CronJob)
class CronJobAdmin(admin.ModelAdmin[CronJob]):
    form = CronJobForm
    fields = ("organisation", "name", "cron_expression", "timezone", "enabled", "pause_note", "alert_after_minutes")
    shown = ("next_runs", "warnings", "drift", "paused_by", "paused_at")
    list_display = ("name", "organisation", "cron_expression", "timezone", "enabled")
    list_select_related = ("organisation",)
    actions = ("keep_schedule", "take_over_beats")

    def get_fields(self, request: HttpRequest, obj: CronJob | None = None) -> tuple[str, ...]:
        return (*self.fields, *self.shown) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: CronJob | None = None) -> tuple[str, ...]:
        return ("organisation", *self.shown) if obj else ()

    def save_model(self, request: HttpRequest, obj: CronJob, form: ModelForm[CronJob], change: bool) -> None:
        save = partial(jobs.change_cron_job, obj) if change else jobs.create_cron_job
        saved = save(**form.cleaned_data, by=request.user.get_username(), now=timezone.now())
        obj.pk, obj._state.adding = saved.pk, False
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: CronJob) -> None:
        jobs.remove_cron_job(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        for job in queryset:
            jobs.remove_cron_job(job)

    @admin.display(description=_("Next runs"))
    def next_runs(self, job: CronJob) -> str:
        zone = ZoneInfo(job.timezone)
        coming = next_slots(job.cron_expression, job.timezone, after=timezone.now()) if job.enabled else []
        return linebreaksbr("\n".join(f"{slot.astimezone(zone):%Y-%m-%d %H:%M %Z}" for slot in coming)) or "–"

    @admin.display(description=_("Warnings"))
    def warnings(self, job: CronJob) -> str:
        said = clock_change_warnings(job.cron_expression, job.timezone, now=timezone.now())
        return linebreaksbr("\n".join(said)) or "–"

    @admin.display(description=_("Differs from beat's own tables"))
    def drift(self, job: CronJob) -> str:
        return linebreaksbr("\n".join(find_drift([job]).get(job.pk, []))) or "–"

    @admin.action(description=_("Keep the jobs' schedules: write them to beat again"), permissions=["change"])
    def keep_schedule(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        self._resolve(request, queryset, keep="schedule")

    @admin.action(description=_("Take over the schedules that beat has for the jobs"), permissions=["change"])
    def take_over_beats(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        self._resolve(request, queryset, keep="beat")

    def _resolve(self, request: HttpRequest, queryset: QuerySet[CronJob], *, keep: Literal["schedule", "beat"]) -> None:
        for job in queryset:
            try:
                jobs.resolve_drift(job, keep=keep, by=request.user.get_username(), now=timezone.now())
            except Refusal as refusal:
                messages.error(request, f"{job}: {refusal}")
            else:
                messages.success(request, _("%(job)s and beat have one schedule.") % {"job": job})


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


@admin.register(Forecast)
class ForecastAdmin(ReadOnlyAdmin):
    list_display = ("business_date", "organisation", "expected", "written_at")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)
    ordering = ("-business_date",)


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    list_display = ("number", "organisation", "run_id", "items", "digest", "at")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)
    ordering = ("organisation", "-number")


@admin.register(RunSummary)
class RunSummaryAdmin(ReadOnlyAdmin):
    list_display = ("month", "organisation", "runs", "counts")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)


class AlertInline(admin.TabularInline[Alert, Incident]):
    """Who was told of an incident, by which way, and whether it got through."""

    model = Alert
    fields = ("at", "event", "route", "error")
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("title", "kind", "organisation", "began_at", "told_at", "ended_at", "cleared_at")
    list_filter = ("kind", ("ended_at", admin.EmptyFieldListFilter), "organisation")
    list_select_related = ("organisation",)
    inlines = (AlertInline,)

    @admin.display(description=_("incident"))
    def title(self, incident: Incident) -> str:
        return incident.summary.partition("\n")[0]


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("at", "event", "route", "incident", "error")
    list_filter = ("event", "route", ("error", admin.EmptyFieldListFilter))
    list_select_related = ("incident",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show above the list when each route last proved that it works."""
        proofs = [f"{route} {localtime(at):%Y-%m-%d %H:%M}" for route, at in sorted(last_proofs().items())]
        said = _("The alarm last got through: %(routes)s.") % {"routes": ", ".join(proofs)}
        never = _("The alarm has never got through: try it with manage.py test_alert.")
        return super().changelist_view(request, {"subtitle": said if proofs else never} | (extra_context or {}))


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("part", "at")


@admin.register(Silence)
class SilenceAdmin(ReadOnlyAdmin):
    list_display = ("part", "from_at", "until_at")
    list_filter = ("part",)
    ordering = ("-until_at",)
