"""Runs and the ledger: what ran, when, and what it did to whom."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cronjobs import nightly, schedule
from cronjobs.models import Run, RunItem
from mentors.desk.scoped import ReadOnlyAdmin
from mentors.scope import Duty, Scope


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    viewing = Duty.SEE
    list_display = ("business_date", "organisation", "trigger", "status", "started_at", "finished_at")
    list_filter = ("organisation", "status", "trigger")
    list_select_related = ("organisation",)
    actions = ("approve", "reject")

    def seen(self, scope: Scope) -> Q:
        return scope.runs()

    def place_of(self, obj: Run) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

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
    viewing = Duty.SEE
    list_display = ("at", "run", "action", "mentor", "type", "expires_on", "stage", "status", "outcome")
    list_filter = ("action", "status")
    list_select_related = ("run", "mentor")
    search_fields = ("mentor__name", "mentor__ref")

    def seen(self, scope: Scope) -> Q:
        return scope.ledger()
