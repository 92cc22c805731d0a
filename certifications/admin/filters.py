"""The filters of the list of certifications; an index serves each. Invalid filters are ignored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext

from certifications.models import Certification, CertificationType
from certifications.states import State, calendar_of, in_state
from mentors.desk.scoped import scope_of


def _types(request: HttpRequest) -> list[CertificationType]:
    return list(CertificationType.objects.filter(scope_of(request).types()).select_related("organisation"))


class StateFilter(SimpleListFilter):
    """By the state as of today."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return list(State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certification]) -> QuerySet[Certification]:
        chosen = self.value()
        if chosen not in State.values:
            return queryset
        return queryset.filter(in_state(State(chosen), types=_types(request), now=timezone.now()))


class ExpiryFilter(SimpleListFilter):
    """By the days that the expiry is away: soon, or lately."""

    title = gettext_lazy("expires")
    parameter_name = "expires"
    ranges = {"30": (0, 30), "60": (0, 60), "90": (0, 90), "365": (0, 365), "-30": (-30, -1), "-90": (-90, -1)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        choices = []
        for days in map(int, self.ranges):
            if days > 0:
                words = ngettext("within %(days)d day", "within %(days)d days", days)
            else:
                words = ngettext("in the last %(days)d day", "in the last %(days)d days", -days)
            choices.append((str(days), words % {"days": abs(days)}))
        return [*choices, ("never", gettext("never"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Certification]) -> QuerySet[Certification]:
        chosen = self.value()
        if chosen == "never":
            return queryset.filter(expires_on__isnull=True)
        if chosen not in self.ranges:
            return queryset
        first, last = self.ranges[chosen]
        found = Q(pk__in=[])
        for type in _types(request):
            today = calendar_of(type, now=timezone.now()).today
            days = (today + timedelta(days=first), today + timedelta(days=last))
            found |= Q(type=type.pk, expires_on__range=days)
        return queryset.filter(found)
