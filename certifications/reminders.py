"""Which certifications are to be reminded of on a day, and with which stage (docs/rules.md, rule 6)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import Case, OuterRef, QuerySet, SmallIntegerField, Subquery, Value, When

from certifications.models import Certification
from mentors.models import Mentor, Organisation


def find_due_reminders(*, organisation: Organisation, on: date) -> QuerySet[Any, Any]:
    """Return the certifications that rule 6 reminds of on the day, each with its `stage` in days."""
    stages = sorted(organisation.reminder_days)
    if not stages:
        return Certification.objects.none().annotate(stage=Value(None, output_field=SmallIntegerField()))
    one_day = int(organisation.valid_through_expiry_day)
    stage = Case(
        *(When(expires_on__lte=on + timedelta(days=days), then=Value(days)) for days in stages),
        output_field=SmallIntegerField(),
    )
    # The mentors are looked up one by one: for a join PostgreSQL may read all of them, and grow with their number.
    mentor = Mentor.objects.of(organisation).filter(pk=OuterRef("mentor"))
    return (
        Certification.objects.in_force()
        .filter(
            issued_on__lte=on, expires_on__range=(first_expiry(organisation, on=on), on + timedelta(days=stages[-1]))
        )
        .alias(mentor_status=Subquery(mentor.order_by().values("status")))
        .filter(mentor_status__in=[Mentor.Status.ACTIVE, Mentor.Status.PAUSED])
        .unless_superseded(Value(one_day))
        .annotate(stage=stage)
        .order_by()
    )


def first_expiry(organisation: Organisation, *, on: date) -> date:
    """Return the earliest `expires_on` of what has not expired on the day (rule 6)."""
    return on + timedelta(days=1 - int(organisation.valid_through_expiry_day))
