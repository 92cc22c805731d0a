"""Schedules: when the nights are, and the buttons that switch them off and on, or run one now."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cronjobs import nightly, starting
from cronjobs.admin.cron_words import say_schedule
from cronjobs.admin.run_display import StatusBadge, badge_of, render_badge, url_of
from cronjobs.cron import clock_change_warnings, next_slots
from cronjobs.dispatch import dispatch_or_defer
from cronjobs.models import CronJob, Run
from cronjobs.schedules import jobs
from cronjobs.schedules.drift import ScheduleDrifted, find_drift, refuse_if_drifted
from mentors.accounts.scope import Permission, Scope
from mentors.conflicts import ConflictError
from mentors.desk.action_page import AskForm, ask
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.refusing import adopt
from mentors.desk.scoped import acting
from mentors.record_text import EMPTY

ON = StatusBadge(tone="good", icon="check_circle", words=gettext_lazy("switched on"))
OFF = StatusBadge(tone="none", icon="pause_circle", words=gettext_lazy("switched off"))


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


class PauseForm(AskForm):
    """Why it is switched off."""

    pause_note = forms.CharField(
        label=gettext_lazy("Why it is switched off"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )


class RunNowForm(AskForm):
    """Whether only to look."""

    dry_run = forms.BooleanField(
        label=gettext_lazy("Only show what would be done"),
        required=False,
        help_text=gettext_lazy("A dry run changes nothing, and tells nobody."),
    )


@admin.register(CronJob)
class CronJobAdmin(ButtonsAdmin):
    viewing = adding = changing = deleting = Permission.LEAD
    form = CronJobForm
    fields = ("organisation", "name", "cron_expression", "timezone", "enabled", "pause_note", "alert_after_minutes")
    list_display = ("name", "organisation", "when", "next_run", "last_run", "state")
    list_select_related = ("organisation",)
    actions = ("keep_schedule", "take_over_beats")
    change_form_outer_before_template = "cronjobs/schedule.html"  # type: ignore[assignment]  # unfold has None

    class Media:
        css = {"all": ["desk/home.css", "desk/runs.css"]}

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led("organisation")

    def scope_ids(self, obj: CronJob) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def get_queryset(self, request: HttpRequest) -> QuerySet[CronJob]:
        """Read the last run of each with it, by one query more for them all."""
        last_runs = Prefetch("runs", Run.objects.real().newest_of_each_job(), to_attr="last_runs")
        return super().get_queryset(request).prefetch_related(last_runs)

    def get_readonly_fields(self, request: HttpRequest, obj: CronJob | None = None) -> tuple[str, ...]:
        return ("organisation",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save = partial(jobs.change_cron_job, obj) if change else jobs.create_cron_job
        saved = save(**form.cleaned_data, by=request.user.get_username(), now=timezone.now())
        adopt(obj, saved)

    def delete_model(self, request: HttpRequest, obj: CronJob) -> None:
        jobs.remove_cron_job(obj)

    @admin.display(description=gettext_lazy("when"), ordering="cron_expression")
    def when(self, job: CronJob) -> str:
        return say_schedule(job.cron_expression)

    @admin.display(description=gettext_lazy("next run"))
    def next_run(self, job: CronJob) -> str:
        return next(iter(_coming(job, count=1)), "–")

    @admin.display(description=gettext_lazy("last run"))
    def last_run(self, job: CronJob) -> str:
        run = next(iter(job.last_runs), None)  # type: ignore[attr-defined]  # prefetched
        if run is None:
            return "–"
        return format_html(
            '{} <a href="{}">{}</a>', render_badge(badge_of(run)), url_of(run), date_format(run.business_date)
        )

    @admin.display(description=gettext_lazy("status"), ordering="enabled")
    def state(self, job: CronJob) -> str:
        return format_html("{} {}", render_badge(ON if job.enabled else OFF), job.pause_note)

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, Callable[..., HttpResponse]] = {
            "pause": self.pause,
            "switch-on": self.switch_on,
            "run-now": self.run_now,
            "keep": partial(self.resolve_drift, keep="schedule"),
            "take-over": partial(self.resolve_drift, keep="beat"),
        }
        own = [
            path(f"<int:object_id>/{name}/", self.admin_site.admin_view(view), name=f"cronjobs_cronjob_{name}")
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show above the form the job in words, the next runs, and the problems."""
        job = self.get_object(request, object_id)
        glance = job and {
            "job": job,
            "badge": ON if job.enabled else OFF,
            "words": say_schedule(job.cron_expression),
            "coming": _coming(job, count=5),
            "warnings": clock_change_warnings(job.cron_expression, job.timezone, now=timezone.now()),
            "drift": find_drift([job]).get(job.pk, EMPTY),
            "last_run": self.last_run(job),
        }
        return super().change_view(request, object_id, form_url, {"glance": glance} | (extra_context or {}))

    def pause(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act(pause_note: str) -> str:
            self._change(request, job, enabled=False, pause_note=pause_note)
            return _("The schedule is switched off.")

        job = self.find_for(request, str(object_id), Permission.LEAD)
        explanation = _("No night runs by itself until it is switched on again. Nights in between are not made up.")
        return self._ask(
            request, job, PauseForm, act, title=_("Switch off “%(job)s”") % {"job": job}, button=_("Switch off"),
            explanation=explanation,
        )  # fmt: skip

    def switch_on(self, request: HttpRequest, object_id: int) -> HttpResponse:
        def act() -> str:
            self._change(request, job, enabled=True)
            return _("The schedule is switched on.")

        job = self.find_for(request, str(object_id), Permission.LEAD)
        explanation = _("It was switched off because: %(note)s") % {"note": job.pause_note} if job.pause_note else ""
        return self._ask(
            request, job, AskForm, act, title=_("Switch on “%(job)s”") % {"job": job}, button=_("Switch on"),
            explanation=explanation,
        )  # fmt: skip

    def run_now(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Run it, and show the run; while one is open, show the way to that one."""

        def act(*, dry_run: bool) -> str:
            run_id = dispatch_or_defer(
                starting.execute_expiry_check,
                organisation=job.organisation,
                cron_job=job,
                actions=nightly.ALL_ACTIONS,
                dry_run=dry_run,
                requested_by=request.user.get_username(),
                now=timezone.now(),
            )
            begun.append(run_id)
            return _("The run has begun.") if not dry_run else _("This is what a run would do now.")

        job = self.find_for(request, str(object_id), Permission.LEAD)
        begun: list[UUID] = []
        answer = self._ask(
            request, job, RunNowForm, act, template="cronjobs/run_now.html", commits_itself=True,
            title=_("Run “%(job)s” now") % {"job": job}, button=_("Run now"),
            explanation=_("It does what is due today, and tells those whom it concerns."),
            open_run=Run.objects.open().filter(organisation=job.organisation_id).first(),
        )  # fmt: skip
        return HttpResponseRedirect(reverse("admin:cronjobs_run_change", args=begun)) if begun else answer

    def resolve_drift(self, request: HttpRequest, object_id: int, *, keep: Literal["schedule", "beat"]) -> HttpResponse:
        def act() -> str:
            jobs.resolve_drift(job, keep=keep, by=request.user.get_username(), now=timezone.now())
            return _("%(job)s and beat have one schedule.") % {"job": job}

        job = self.find_for(request, str(object_id), Permission.LEAD)
        title = _("Keep the schedule") if keep == "schedule" else _("Take over beat's schedule")
        return self._ask(
            request, job, AskForm, act, title=title, button=title,
            explanation="\n".join(map(str, find_drift([job]).get(job.pk, ()))),
        )  # fmt: skip

    def _ask(
        self, request: HttpRequest, job: CronJob, form: type[forms.Form], act: Callable[..., str],
        template: str = "desk/ask.html", commits_itself: bool = False, **context: Any,
    ) -> HttpResponse:  # fmt: skip
        back = reverse("admin:cronjobs_cronjob_change", args=[job.pk])
        answers = request.POST if request.method == "POST" else None
        shown = self.context_of(request, **context)
        hand = ask if commits_itself else self.ask  # before workers are told, or by seals
        return hand(request, form(answers), context=shown, act=act, back=back, template=template)

    @staticmethod
    def _change(request: HttpRequest, job: CronJob, **changes: Any) -> None:
        jobs.change_cron_job(job, **changes, by=request.user.get_username(), now=timezone.now())

    @admin.action(
        description=gettext_lazy("Keep the jobs' schedules: write them to beat again"), permissions=["change"]
    )
    def keep_schedule(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        self._resolve(request, queryset, keep="schedule")

    @admin.action(
        description=gettext_lazy("Take over the schedules that beat has for the jobs"), permissions=["change"]
    )
    def take_over_beats(self, request: HttpRequest, queryset: QuerySet[CronJob]) -> None:
        self._resolve(request, queryset, keep="beat")

    def _resolve(self, request: HttpRequest, queryset: QuerySet[CronJob], *, keep: Literal["schedule", "beat"]) -> None:
        for job in queryset:
            try:
                with acting(request):
                    jobs.resolve_drift(job, keep=keep, by=request.user.get_username(), now=timezone.now())
            except ConflictError as refusal:
                messages.error(request, f"{job}: {refusal}")
            else:
                messages.success(request, _("%(job)s and beat have one schedule.") % {"job": job})


def _coming(job: CronJob, *, count: int) -> list[str]:
    """Return the next slots in the job's own time; none while it is switched off, or cannot be read."""
    if not job.enabled:
        return []
    zone = ZoneInfo(job.timezone)
    try:
        slots = next_slots(job.cron_expression, job.timezone, after=timezone.now(), count=count)
    except ValidationError:  # an edit past the checks: beat cannot read it either
        return []
    return [
        f"{date_format(slot.astimezone(zone), 'l')} {date_format(slot.astimezone(zone))} {slot.astimezone(zone):%H:%M}"
        for slot in slots
    ]
