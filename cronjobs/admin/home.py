"""The home page of the desk: what there is to know at a glance.

One organisation is shown in full; who sees several has them in a list above it, those first that wait for a decision.
Each section is one query. A user who may not see what a section is about does not get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from certifications.models import CertificationType
from cronjobs.admin.expiring import Chart, chart_expiring
from cronjobs.admin.home_lists import TopRows, find_incidents, find_paused, find_undelivered
from cronjobs.admin.next_night import Tonight, preview
from cronjobs.admin.run_display import ActionCount, StatusBadge, action_counts, badge_of
from cronjobs.admin.thirty_nights import NightRun, last_nights
from cronjobs.models import CronJob, Incident, Run
from mentors.accounts.scope import Permission, Scope
from mentors.desk.scoped import scope_of
from mentors.models import Mentor, Organisation

MOST_ORGANISATIONS = 30
TYPE = JSONObject(id="id", organisation_id="organisation_id", code="code", name="name", required="required")


@dataclass(frozen=True, kw_only=True)
class Line:
    """An organisation in the list of several."""

    organisation: Organisation
    run: Run | None
    is_held: bool

    @property
    def badge(self) -> StatusBadge:
        return badge_of(self.run)


@dataclass(frozen=True, kw_only=True)
class CoordinatorPanel:
    """What a coordinator sees of her mentors."""

    tonight: Tonight
    chart: Chart
    paused: TopRows
    undelivered: TopRows


@dataclass(frozen=True, kw_only=True)
class Home:
    """What is shown of the organisation in full. An auditor has no `panel`."""

    organisation: Organisation
    nights: Sequence[NightRun]
    held: Sequence[Run]
    incidents: Sequence[Incident]
    jobs: Sequence[CronJob]
    panel: CoordinatorPanel | None
    leads: bool

    @property
    def last_night(self) -> Run | None:
        return next((night.run for night in reversed(self.nights) if night.run), None)

    @property
    def badge(self) -> StatusBadge:
        return badge_of(self.last_night)

    @property
    def action_counts(self) -> list[ActionCount]:
        return action_counts(self.last_night) if self.last_night else []

    @property
    def missed(self) -> list[NightRun]:
        return [night for night in self.nights if night.is_missed]

    @property
    def is_new(self) -> bool:
        """Whether there is nobody to look after yet."""
        return not self.organisation.has_mentors  # type: ignore[attr-defined]  # annotated


def show_home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Give the home page what it shows; unfold calls it (UNFOLD, DASHBOARD_CALLBACK)."""
    scope, now = scope_of(request), timezone.now()
    organisations = _organisations_seen(scope)
    shown = context | {"title": _("Home"), "operates": scope.may(Permission.OPERATE)}
    if not organisations:
        return shown
    lines = _lines(organisations) if len(organisations) > 1 else []
    asked = request.GET.get("organisation")
    chosen = next((one for one in organisations if one.slug == asked), lines[0].organisation if lines else None)
    organisation = chosen or organisations[0]
    return shown | {"title": organisation.name, "lines": lines, "home": _look_at(organisation, scope=scope, now=now)}


def _organisations_seen(scope: Scope) -> list[Organisation]:
    """Return the organisations, those that wait for a decision first, each with what the page needs of it."""
    own_runs = Run.objects.filter(organisation=OuterRef("pk"))
    found = Organisation.objects.filter(scope.runs("pk")).annotate(
        is_held=Exists(own_runs.filter(status=Run.Status.HELD)),
        has_mentors=Exists(Mentor.objects.filter(organisation=OuterRef("pk"))),
        newest_run=Subquery(own_runs.real().order_by("-created_at").values("pk")[:1]),
        types=ArraySubquery(CertificationType.objects.filter(organisation=OuterRef("pk")).values(of=TYPE)),
    )
    return list(found.order_by("-is_held", "name")[:MOST_ORGANISATIONS])


def _lines(organisations: Sequence[Any]) -> list[Line]:
    """Return a line for each; one whose last run was not green comes before those in order."""
    runs = Run.objects.in_bulk([one.newest_run for one in organisations if one.newest_run])
    lines = [Line(organisation=one, run=runs.get(one.newest_run), is_held=one.is_held) for one in organisations]
    return sorted(lines, key=lambda line: (not line.is_held, line.badge.tone not in {"bad", "warn"}))


def _look_at(organisation: Organisation, *, scope: Scope, now: datetime) -> Home:
    today = organisation.local_date(now)
    nights = last_nights(organisation, today=today)
    jobs = list(CronJob.objects.filter(organisation=organisation))
    coordinates = scope.everything or organisation.pk in scope.coordinated
    return Home(
        organisation=organisation,
        nights=nights,
        held=[night.run for night in nights if night.run and night.run.status == Run.Status.HELD],
        incidents=find_incidents(organisation, scope=scope),
        jobs=jobs,
        panel=_coordinator_panel(organisation, scope=scope, nights=nights, jobs=jobs, now=now) if coordinates else None,
        leads=scope.may(Permission.LEAD, organisation_id=organisation.pk),
    )


def _coordinator_panel(
    organisation: Organisation, *, scope: Scope, nights: Sequence[NightRun], jobs: Sequence[CronJob], now: datetime
) -> CoordinatorPanel:
    found = cast("list[dict[str, Any]]", organisation.types)  # type: ignore[attr-defined]  # annotated
    types = [CertificationType(**facts) for facts in found]
    names = {type.code: type.name for type in types}
    newest = next((night.on for night in reversed(nights) if night.run), None)
    return CoordinatorPanel(
        tonight=preview(organisation, scope=scope, jobs=jobs, newest=newest, type_names=names, now=now),
        chart=chart_expiring(organisation, scope=scope, types=types, today=organisation.local_date(now)),
        paused=find_paused(organisation, scope=scope, type_names=names),
        undelivered=find_undelivered(organisation, scope=scope),
    )
