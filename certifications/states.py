"""The state of a certification on a day, said of one row and asked of a table.

    revoked ── upcoming ── expired ── expiring ── valid        the first that fits

Expired is lapsed in the sense of rule 1, so a grace counts; expiring is within the organisation's longest reminder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q, TextChoices
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext_lazy as _

from certifications.models import VALID_THROUGH, CertificationType


class State(TextChoices):
    VALID = "valid", _("valid")
    EXPIRING = "expiring", _("expires soon")
    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", _("revoked")
    UPCOMING = "upcoming", _("begins later")


@dataclass(frozen=True, kw_only=True)
class StateThresholds:
    """Three days that decide the states of a type's certifications."""

    today: date
    lapsed_through: date  # what expired on or before it has lapsed
    expiring_through: date

    def lapses_on(self, expires_on: date) -> date:
        """Rule 1: the first day not covered, as the database function says it too."""
        days = self.today - self.lapsed_through
        return date.max if date.max - days < expires_on else expires_on + days


def calendar_of(type: CertificationType, *, now: datetime) -> StateThresholds:
    """Return the calendar of a type; its organisation is needed with it."""
    organisation = type.organisation
    today = organisation.local_date(now)
    return StateThresholds(
        today=today,
        lapsed_through=today - timedelta(days=int(organisation.valid_through_expiry_day) + type.grace_days),
        expiring_through=today + timedelta(days=max(organisation.reminder_days, default=0)),
    )


def state_of(
    *, issued_on: date, expires_on: date | None, revoked_at: datetime | None, calendar: StateThresholds
) -> State:
    """Return the state of one certification."""
    if revoked_at is not None:
        return State.REVOKED
    if issued_on > calendar.today:
        return State.UPCOMING
    if expires_on is None or expires_on > calendar.expiring_through:
        return State.VALID
    return State.EXPIRED if expires_on <= calendar.lapsed_through else State.EXPIRING


def in_state(state: State, *, types: Iterable[CertificationType], now: datetime) -> Q:
    """Return the condition for certifications of these types in the state, in dates that an index serves."""
    if state is State.REVOKED:
        return Q(revoked_at__isnull=False)
    by_calendar: dict[StateThresholds, list[int]] = defaultdict(list)
    for type in types:
        by_calendar[calendar_of(type, now=now)].append(type.pk)
    found = Q(pk__in=[])
    for calendar, type_ids in by_calendar.items():
        found |= Q(type__in=type_ids) & _dates_of(state, calendar)
    return found & Q(revoked_at__isnull=True)


def _dates_of(state: State, calendar: StateThresholds) -> Q:
    begun = Q(issued_on__lte=calendar.today)
    match state:
        case State.UPCOMING:
            return Q(issued_on__gt=calendar.today)
        case State.EXPIRED:  # which it cannot be before it has begun
            return Q(expires_on__lte=calendar.lapsed_through)
        case State.EXPIRING:
            return begun & after(calendar.lapsed_through) & Q(expires_on__lte=calendar.expiring_through)
        case _:
            return begun & after(calendar.expiring_through)


def after(day: date) -> Q:
    """Return the condition for certifications that expire after the day, or never; the index begins right there."""
    return Q(GreaterThan(VALID_THROUGH, day))


def before(day: date) -> Q:
    """Return the condition for certifications that expire before the day."""
    return Q(LessThan(VALID_THROUGH, day), expires_on__isnull=False)
