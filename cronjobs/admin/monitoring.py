"""What operations look at: forecasts, seals, incidents, alerts and heartbeats."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from cronjobs.models import Alert, Forecast, Heartbeat, Incident, Outage, RunSummary, Seal
from cronjobs.monitoring.alerts import last_proofs
from mentors.desk.scoped import OperationsAdmin, ReadOnlyInline


@admin.register(Forecast)
class ForecastAdmin(OperationsAdmin):
    list_display = ("business_date", "organisation", "expected", "written_at")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)
    ordering = ("-business_date",)


@admin.register(Seal)
class SealAdmin(OperationsAdmin):
    list_display = ("number", "organisation", "run_id", "items", "digest", "at")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)
    ordering = ("organisation", "-number")


@admin.register(RunSummary)
class RunSummaryAdmin(OperationsAdmin):
    list_display = ("month", "organisation", "runs", "counts")
    list_filter = ("organisation",)
    list_select_related = ("organisation",)


class AlertInline(ReadOnlyInline):
    """Who was told of an incident, by which way, and whether it got through."""

    model = Alert
    fields = ("at", "event", "route", "error")


@admin.register(Incident)
class IncidentAdmin(OperationsAdmin):
    list_display = ("title", "kind", "organisation", "began_at", "notified_at", "ended_at", "cleared_at")
    list_filter = ("kind", ("ended_at", admin.EmptyFieldListFilter), "organisation")
    list_select_related = ("organisation",)
    inlines = (AlertInline,)


@admin.register(Alert)
class AlertAdmin(OperationsAdmin):
    list_display = ("at", "event", "route", "incident", "error")
    list_filter = ("event", "route", ("error", admin.EmptyFieldListFilter))
    list_select_related = ("incident",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show above the list when each route last proved that it works."""
        proofs = [f"{route} {localtime(at):%Y-%m-%d %H:%M}" for route, at in sorted(last_proofs().items())]
        said = _("The alarm last got through: %(routes)s.") % {"routes": ", ".join(proofs)}
        never = _("The alarm has never got through: try it with manage.py test_alert.")
        return super().changelist_view(request, {"subtitle": said if proofs else never} | (extra_context or {}))


@admin.register(Heartbeat)
class HeartbeatAdmin(OperationsAdmin):
    list_display = ("component", "at")


@admin.register(Outage)
class OutageAdmin(OperationsAdmin):
    list_display = ("component", "from_at", "until_at")
    list_filter = ("component",)
    ordering = ("-until_at",)
