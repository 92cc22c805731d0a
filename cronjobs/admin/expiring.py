"""What expires in the coming ninety days, by week: of it what is required, what is not, and what is renewed already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet, Value
from django.db.models.functions import TruncWeek
from django.urls import reverse

from certifications.models import Certification, CertificationType
from mentors.accounts.scope import Scope
from mentors.models import Organisation

DAYS = 90


@dataclass(frozen=True, kw_only=True)
class Week:
    """A week of the calendar, as far as it lies within the ninety days."""

    first: date
    last: date
    required: int
    optional: int
    renewed: int
    url: str

    @property
    def number(self) -> int:
        return self.first.isocalendar().week

    @property
    def total(self) -> int:
        return self.required + self.optional + self.renewed


@dataclass(frozen=True, kw_only=True)
class Chart:
    weeks: Sequence[Week]

    @property
    def highest(self) -> int:
        return max((week.total for week in self.weeks), default=0)

    @property
    def total(self) -> int:
        return sum(week.total for week in self.weeks)


def chart_expiring(
    organisation: Organisation, *, scope: Scope, types: Sequence[CertificationType], today: date
) -> Chart:
    """Count the certifications of these types that expire, week by week, by one query."""
    last = today + timedelta(days=DAYS)
    found = Certification.objects.in_force().filter(
        type__in=[type.pk for type in types], expires_on__range=(today, last)
    )
    if not (scope.everything or organisation.pk in scope.led):
        found = found.filter(scope.mentors("mentor"))
    one_day = Value(int(organisation.valid_through_expiry_day))
    not_renewed = found.unless_superseded(one_day)
    counted = _by_week(found, is_all=True).union(_by_week(not_renewed, is_all=False), all=True)
    required = {type.pk for type in types if type.required}
    numbers: Counter[tuple[date, str]] = Counter()
    for row in counted:
        kind = "all" if row["is_all"] else "required" if row["type"] in required else "optional"
        numbers[row["week"], kind] += row["count"]
    monday = today - timedelta(days=today.weekday())
    mondays = [monday + timedelta(weeks=number) for number in range((last - monday).days // 7 + 1)]
    return Chart(weeks=[_week(monday, numbers, types, today=today, last=last) for monday in mondays])


def _by_week(found: QuerySet[Certification], *, is_all: bool) -> QuerySet[Certification, dict[str, Any]]:
    weekly: Any = found.order_by().annotate(week=TruncWeek("expires_on"), is_all=Value(is_all))
    counted: QuerySet[Certification, dict[str, Any]] = weekly.values("week", "type", "is_all").annotate(
        count=Count("pk")
    )
    return counted


def _week(
    monday: date, numbers: Counter[tuple[date, str]], types: Sequence[CertificationType], *, today: date, last: date
) -> Week:
    first, sunday = max(monday, today), min(monday + timedelta(days=6), last)
    required, optional = numbers[monday, "required"], numbers[monday, "optional"]
    params = {
        "expires_on__gte": first.isoformat(),
        "expires_on__lte": sunday.isoformat(),
        "revoked_at__isnull": "True",
        "type__in": ",".join(str(type.pk) for type in types),
    }
    return Week(
        first=first,
        last=sunday,
        required=required,
        optional=optional,
        renewed=numbers[monday, "all"] - required - optional,
        url=f"{reverse('admin:certifications_certification_changelist')}?{urlencode(params)}",
    )
