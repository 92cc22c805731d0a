"""Schedules: when the nights are."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.defaultfilters import linebreaksbr
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cronjobs import jobs
from cronjobs.cron import clock_change_warnings, next_slots
from cronjobs.drift import ScheduleDrifted, find_drift, refuse_if_drifted
from cronjobs.models import CronJob
from mentors.desk.scoped import ScopedAdmin
from mentors.refusal import Refusal
from mentors.scope import Duty, Scope


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
class CronJobAdmin(ScopedAdmin):
    viewing = adding = changing = deleting = Duty.LEAD
    form = CronJobForm
    fields = ("organisation", "name", "cron_expression", "timezone", "enabled", "pause_note", "alert_after_minutes")
    shown = ("next_runs", "warnings", "drift", "paused_by", "paused_at")
    list_display = ("name", "organisation", "cron_expression", "timezone", "enabled")
    list_select_related = ("organisation",)
    actions = ("keep_schedule", "take_over_beats")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led("organisation")

    def place_of(self, obj: CronJob) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def get_fields(self, request: HttpRequest, obj: CronJob | None = None) -> tuple[str, ...]:
        return (*self.fields, *self.shown) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: CronJob | None = None) -> tuple[str, ...]:
        return ("organisation", *self.shown) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
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
