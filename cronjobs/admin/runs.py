"""Runs: what ran, when, what it did to whom, and what a person decides about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cronjobs import nightly, starting
from cronjobs.admin.items import count_by_action, list_items
from cronjobs.admin.run_display import badge_of, describe_actions, render_badge, say_duration, url_of
from cronjobs.dispatch import dispatch_or_defer
from cronjobs.dry_run import dry_run_rows
from cronjobs.models import Run
from cronjobs.records.export import FORMATS, export_runs
from cronjobs.undo import undo_pauses
from mentors.accounts.scope import Permission, Scope
from mentors.desk.action_page import AskForm, ReasonForm, ask
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.scoped import ReadOnlyAdmin, actor_of, scope_of
from mentors.models import Mentor, StatusChange


@admin.register(Run)
class RunAdmin(ButtonsAdmin, ReadOnlyAdmin):  # type: ignore[misc]  # unfold and Django differ in how they annotate
    viewing = Permission.SEE
    list_display = ("business_date", "organisation", "how_begun", "state", "what_it_did", "duration")
    list_filter = ("organisation", "status", "trigger", "dry_run")
    list_select_related = ("organisation",)

    class Media:
        css = {"all": ["desk/home.css"]}

    def seen(self, scope: Scope) -> Q:
        return scope.runs()

    def scope_ids(self, obj: Run) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).select_related("organisation", "cron_job")

    @admin.display(description=gettext_lazy("begun"), ordering="trigger")
    def how_begun(self, run: Run) -> str:
        return _("only shown: a dry run") if run.dry_run else run.get_trigger_display()

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, run: Run) -> SafeString:
        return render_badge(badge_of(run))

    @admin.display(description=gettext_lazy("what it did"))
    def what_it_did(self, run: Run) -> str:
        return describe_actions(run)

    @admin.display(description=gettext_lazy("took"))
    def duration(self, run: Run) -> str:
        return say_duration(run)

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "progress": self.progress,
            "evidence": self.evidence,
            "approve": self.approve,
            "reject": self.reject,
            "retry": self.retry,
            "undo": self.undo,
        }
        own = [
            path(f"<uuid:run_id>/{name}/", self.admin_site.admin_view(view), name=f"cronjobs_run_{name}")
            for name, view in pages.items()
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the run, with its items and with what may be done about it."""
        run: Run = self.find(request, object_id)
        scope = scope_of(request)
        leads = self.may(request, Permission.LEAD, run)
        is_todays = run.business_date == run.organisation.local_date(timezone.now())
        has_failed = any(count.get("failed") for count in run.counts.values())
        has_paused = not run.dry_run and run.counts.get("pause", {}).get("done")
        context = self._context(request, run) | {
            "badge": badge_of(run),
            "counts": count_by_action(run),
            "items": list_items(run, scope=scope, params=request.GET),
            "sees_all": scope.sees_all_items(organisation_id=run.organisation_id),
            "links_mentors": scope.everything or run.organisation_id in scope.coordinated,
            "duration": say_duration(run),
            "progress": _progress_of(run),
            "may_decide": leads and run.status == Run.Status.HELD,
            "may_retry": leads and is_todays and not run.is_open and has_failed,
            "may_undo": leads and not run.is_open and bool(has_paused),
        }
        return TemplateResponse(request, "cronjobs/run.html", context | (extra_context or {}))

    def progress(self, request: HttpRequest, run_id: UUID) -> JsonResponse:
        """Say how far the run is; its page asks until the run is closed."""
        return JsonResponse(_progress_of(self.find(request, str(run_id))))

    def evidence(self, request: HttpRequest, run_id: UUID) -> HttpResponseBase:
        """Take the run and its items along, as far as the user sees them: the same file as the API's."""
        run: Run = self.find(request, str(run_id))
        scope = scope_of(request)
        format = request.GET.get("format", FORMATS[0])
        if format not in FORMATS:
            raise Http404
        return export_runs(
            [run],
            scope=scope,
            name=f"{run.organisation.slug}-{run.business_date}-{run.pk}",
            format=format,
            rows_of=(lambda dry: dry_run_rows(dry, "mentor_id", scope=scope, now=timezone.now()))
            if run.dry_run
            else None,
        )

    def approve(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        def act() -> str:
            dispatch_or_defer(starting.approve, run_id, by=request.user.get_username(), now=timezone.now())
            return _("The run goes on.")

        explanation = _("The run goes on, and pauses all whom it has planned to pause.")
        return self._ask(
            request, run_id, AskForm, act, title=_("Approve the held run"), button=_("Approve"),
            explanation=explanation, commits_itself=True,
        )  # fmt: skip

    def reject(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        def act(reason: str) -> str:
            nightly.reject_run(run_id, by=request.user.get_username(), reason=reason, now=timezone.now())
            return _("The run is rejected, and closed.")

        explanation = _("What the run would still do is skipped, and nobody is paused by it.")
        return self._ask(
            request, run_id, ReasonForm, act, title=_("Reject the held run"), button=_("Reject"),
            explanation=explanation, commits_itself=True,
        )  # fmt: skip

    def retry(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        def act() -> str:
            dispatch_or_defer(starting.retry, run_id, now=timezone.now())
            return _("What had failed is tried again.")

        explanation = _("What failed is tried again, unless another run has taken it over.")
        return self._ask(
            request, run_id, AskForm, act, title=_("Try again what failed"), button=_("Try again"),
            explanation=explanation, commits_itself=True,
        )  # fmt: skip

    def undo(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        def act(reason: str) -> str:
            resumed = len(undo_pauses(run_id, reason=reason, actor=actor_of(request), now=timezone.now()))
            said = ngettext("%(count)d mentor is active again.", "%(count)d mentors are active again.", resumed)
            return said % {"count": resumed}

        paused = StatusChange.objects.filter(run_id=run_id, to_status=Mentor.Status.PAUSED).count()
        said = ngettext("The run has paused %(count)d mentor.", "The run has paused %(count)d mentors.", paused)
        explanation = said % {"count": paused} + " " + _(
            "Who is still paused by it becomes active again; who has changed since is left alone. Mend wrong dates "
            "first, or the next night pauses the same mentors again."
        )  # fmt: skip
        return self._ask(
            request, run_id, ReasonForm, act, title=_("Undo the pauses of the run"), button=_("Undo"),
            explanation=explanation,
        )  # fmt: skip

    def _ask(
        self,
        request: HttpRequest,
        run_id: UUID,
        form: type[Form],
        act: Any,
        *,
        commits_itself: bool = False,
        **words: str,
    ) -> HttpResponse:
        """Ask who leads the organisation, and then do it."""
        run = self.find_for(request, str(run_id), Permission.LEAD)
        answers = request.POST if request.method == "POST" else None
        hand = ask if commits_itself else self.ask  # before workers are told, or by seals
        return hand(request, form(answers), context=self._context(request, run) | words, act=act, back=url_of(run))

    def _context(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        return self.context_of(request, title=_("Run of %(date)s") % {"date": date_format(run.business_date)}, run=run)


def _progress_of(run: Run) -> dict[str, Any]:
    """Return how far the run is; one that is held goes on only when somebody has decided."""
    is_at_work = run.status in (Run.Status.PLANNED, Run.Status.RUNNING)
    return {
        "status": run.status,
        "words": run.get_status_display(),
        "is_at_work": is_at_work,
        "percent": int(100 * run.progress) if is_at_work else 100,
    }
