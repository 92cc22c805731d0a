"""What a mentor's page shows around the form: how things stand, what the mentor holds, and why it came so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.admin.badges import state_badge
from certifications.coverage import Gaps, find_gaps
from certifications.models import Certification, CertificationType, Exemption
from certifications.states import State, calendar_of, state_of
from mentors.admin.mentor_buttons import Button
from mentors.admin.timeline import TimelineRenderer
from mentors.api.timeline import Kind, entry, timeline_of
from mentors.desk.badges import status_badge
from mentors.models import Mentor, StatusChange

AT_ONCE = 50
WHY_PAUSED = {
    Mentor.PauseCause.MANUAL: gettext_lazy("paused by a person, who alone resumes"),
    Mentor.PauseCause.CERTIFICATION_EXPIRED: gettext_lazy(
        "a required certification has expired; the renewal resumes by itself (rule 5)"
    ),
    Mentor.PauseCause.CERTIFICATION_REVOKED: gettext_lazy(
        "a certification was revoked; only a person resumes (rule 9)"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Held:
    """A row of the certifications on the page."""

    certification: Certification
    type: CertificationType
    state: State
    days_left: int | None

    @property
    def badge(self) -> str:
        return state_badge(self.state)

    @property
    def is_revoked(self) -> bool:
        return self.state is State.REVOKED


def page_of(mentor: Mentor, *, buttons: Sequence[Button]) -> dict[str, Any]:
    """Return what the templates above and below the form show."""
    now = timezone.now()
    types = {type.pk: type for type in CertificationType.objects.filter(organisation=mentor.organisation_id)}
    for type in types.values():
        type.organisation = mentor.organisation  # which need not be read again for each
    today = mentor.organisation.local_date(now)
    gaps = find_gaps({mentor.pk: today})[mentor.pk]
    names = {type.code: type.name for type in types.values()}
    rows = list(timeline_of(mentor)[: AT_ONCE + 1])  # one more says that there are more, without counting them
    has_more, rows = len(rows) > AT_ONCE, rows[:AT_ONCE]
    return {
        "mentor": mentor,
        "buttons": buttons,
        "may_change": bool(buttons) or mentor.status == Mentor.Status.ENDED,
        "status": status_badge(mentor),
        "since": _since(mentor, rows),
        "why": WHY_PAUSED.get(mentor.pause_cause) if mentor.pause_cause else "",  # type: ignore[call-overload]
        "reason": mentor.pause_reason if mentor.pause_cause != Mentor.PauseCause.CERTIFICATION_EXPIRED else "",
        "mentor_gaps": Gaps(
            lapsed=[names[code] for code in gaps.lapsed], missing=[names[code] for code in gaps.missing]
        ),
        "held": _held(mentor, types, now=now, today=today),
        "exemptions": [(types[each.type_id], each) for each in Exemption.objects.filter(mentor=mentor)],
        "today": today,
        "timeline": _rendered(mentor, rows, names),
        "more": reverse("admin:mentors_mentor_timeline", args=[mentor.pk]) if has_more else "",
    }


def timeline_page(request: HttpRequest, mentor: Mentor, *, site: AdminSite) -> HttpResponse:
    """Show the whole timeline of a mentor, fifty entries a page."""
    names = dict(CertificationType.objects.filter(organisation=mentor.organisation_id).values_list("code", "name"))
    page = Paginator(timeline_of(mentor), AT_ONCE).get_page(request.GET.get("page"))
    context = site.each_context(request) | {
        "title": _("Why: %(mentor)s") % {"mentor": mentor.name},
        "opts": Mentor._meta,
        "mentor": mentor,
        "page": page,
        "timeline": _rendered(mentor, list(page.object_list), names),
    }
    return TemplateResponse(request, "desk/mentor_why.html", context)


def _rendered(mentor: Mentor, rows: Sequence[dict[str, Any]], names: dict[str, str]) -> list[Any]:
    renderer = TimelineRenderer(organisation=mentor.organisation, names=names)
    return [renderer.render(entry(row)) for row in rows]


def _since(mentor: Mentor, rows: Sequence[dict[str, Any]]) -> datetime:
    """Return since when the mentor has the status; the newest entries mostly tell."""
    told = next((row["its_at"] for row in rows if row["its_kind"] == Kind.STATUS_CHANGE), None)
    if told or len(rows) < AT_ONCE:
        return told or mentor.created_at
    changed = StatusChange.objects.filter(mentor=mentor).order_by("-pk").values_list("at", flat=True).first()
    return changed or mentor.created_at


def _held(mentor: Mentor, types: dict[int, CertificationType], *, now: datetime, today: date) -> list[Held]:
    """Return what the mentor holds, what expires last first, and what is revoked at the end."""
    calendars = {pk: calendar_of(type, now=now) for pk, type in types.items()}
    held = [
        Held(
            certification=one,
            type=types[one.type_id],
            state=state_of(
                issued_on=one.issued_on,
                expires_on=one.expires_on,
                revoked_at=one.revoked_at,
                calendar=calendars[one.type_id],
            ),
            days_left=(one.expires_on - today).days if one.expires_on else None,
        )
        for one in Certification.objects.filter(mentor=mentor)
    ]
    return sorted(held, key=lambda row: (not row.is_revoked, row.certification.expires_on or date.max), reverse=True)
