"""The list of mentors: its columns and filters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext
from unfold.admin import ModelAdmin

from certifications.coverage import Gaps, find_gaps
from certifications.models import CertificationType
from mentors.desk.badges import badge, status_badge
from mentors.desk.scoped import scope_of
from mentors.models import Mentor, Organisation


class ExpiresWithin(SimpleListFilter):
    """By the first day on which a required type is not covered, which an index serves (Mentor.lapses_on)."""

    title = gettext_lazy("lapses")
    parameter_name = "lapses"
    days = (30, 60, 90)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        within = [
            (str(days), ngettext("within %(days)d day", "within %(days)d days", days) % {"days": days})
            for days in self.days
        ]
        return [*within, ("lapsed", gettext("has lapsed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mentor]) -> QuerySet[Mentor]:
        chosen = self.value()
        if chosen not in {"lapsed", *map(str, self.days)}:
            return queryset
        found = Q(pk__in=[])
        for today, organisation_ids in _days_of_organisations(request, now=timezone.now()).items():
            lapses = Q(lapses_on__lte=today)
            if chosen != "lapsed":
                lapses = Q(lapses_on__gt=today, lapses_on__lte=today + timedelta(days=int(chosen)))
            found |= Q(organisation__in=organisation_ids) & lapses
        return queryset.filter(found)


def _days_of_organisations(request: HttpRequest, *, now: datetime) -> dict[date, list[int]]:
    """Return the organisations that the user reaches, by id, by the day it is there."""
    scope = scope_of(request)
    organisations = Organisation.objects.only("timezone")
    if not scope.everything:
        organisations = organisations.filter(pk__in=scope.coordinated)
    days: dict[date, list[int]] = defaultdict(list)
    for organisation in organisations:
        days[organisation.local_date(now)].append(organisation.pk)
    return days


class MentorColumns(ModelAdmin):
    """What a row of the list says."""

    def annotate_rows(self, request: HttpRequest, rows: Sequence[Mentor]) -> None:
        """Find what has lapsed and what is missing, for the page at once."""
        now = timezone.now()
        gaps = find_gaps({mentor.pk: mentor.organisation.local_date(now) for mentor in rows})
        types = CertificationType.objects.filter(organisation__in={mentor.organisation_id for mentor in rows})
        names = {(organisation, code): name for organisation, code, name in types.values_list(
            "organisation", "code", "name"
        )}  # fmt: skip
        for mentor in rows:
            mentor.named_gaps = Gaps(  # type: ignore[attr-defined]
                lapsed=[names[mentor.organisation_id, code] for code in gaps[mentor.pk].lapsed],
                missing=[names[mentor.organisation_id, code] for code in gaps[mentor.pk].missing],
            )

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, mentor: Mentor) -> SafeString:
        return status_badge(mentor)

    @admin.display(description=gettext_lazy("lapses on"), empty_value="–")
    def lapses_next(self, mentor: Mentor) -> str | None:
        return date_format(mentor.lapses_on, "SHORT_DATE_FORMAT") if mentor.lapses_on else None

    @admin.display(description=gettext_lazy("lapsed or missing"))
    def gaps(self, mentor: Mentor) -> SafeString | str:
        found: Gaps = mentor.named_gaps  # type: ignore[attr-defined]
        said = [badge(gettext("lapsed: %(type)s") % {"type": name}, colour="danger") for name in found.lapsed]
        said += [badge(gettext("missing: %(type)s") % {"type": name}) for name in found.missing]
        badges = format_html_join("", "{}", ((one,) for one in said))
        return format_html('<span class="desk-badges">{}</span>', badges) if said else "–"
