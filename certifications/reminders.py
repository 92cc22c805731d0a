"""Which certifications are to be reminded of on a day, and with which stage (docs/rules.md, rule 6)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Case, OuterRef, QuerySet, SmallIntegerField, Subquery, Value, When

from certifications.expiry import days_to_ask
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


def find_reminders_still_due(
    *, certification_ids: Iterable[int], organisation: Organisation, on: date, now: datetime
) -> set[tuple[int, date, int]]:
    """Return which of these certifications are to be reminded of on the day and today, as (id, expires_on, stage).

    Rule 8: none that has expired by today, and none of which a later stage is due by now.
    """
    ids = list(certification_ids)
    due = find_due_reminders(organisation=organisation, on=on).filter(pk__any_of=ids)
    found: set[tuple[int, date, int]] = set(due.values_list("pk", "expires_on", "stage"))
    for today in days_to_ask(organisation, on=on, now=now)[1:]:
        by_now = find_due_reminders(organisation=organisation, on=today).filter(pk__any_of=ids)
        stages = dict(by_now.values_list("pk", "stage"))
        unexpired = first_expiry(organisation, on=today)
        found = {each for each in found if each[1] >= unexpired and stages.get(each[0], each[2]) >= each[2]}
    return found


def first_expiry(organisation: Organisation, *, on: date) -> date:
    """Return the earliest `expires_on` of what has not expired on the day (rule 6)."""
    return on + timedelta(days=1 - int(organisation.valid_through_expiry_day))
