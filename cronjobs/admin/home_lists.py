"""What else stands on the home page: who is paused, what did not arrive, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Count, Model, Q, QuerySet, Window
from django.utils.translation import gettext as _

from certifications.record_text import LAPSED
from cronjobs.models import Incident
from mentors.accounts.scope import Scope
from mentors.models import Mentor, Organisation
from notifications.models import Notification

MOST_PAUSED, MOST_UNDELIVERED = 10, 5

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, kw_only=True)
class TopRows:
    """The first few of some rows, and how many there are."""

    rows: Sequence[Any]
    total: int


def _first(rows: QuerySet[Row], most: int) -> TopRows:
    found = list(rows.annotate(of_all=Window(Count("pk")))[:most])
    return TopRows(rows=found, total=found[0].of_all if found else 0)  # type: ignore[attr-defined]


def find_paused(organisation: Organisation, *, scope: Scope, type_names: dict[str, str]) -> TopRows:
    """Return the first of the paused mentors whom the user sees, each with `why`."""
    paused = Mentor.objects.of(organisation).filter(scope.mentors(), status=Mentor.Status.PAUSED)
    first = _first(paused.select_related("chapter").order_by("name", "pk"), MOST_PAUSED)
    for mentor in first.rows:
        if LAPSED in mentor.pause_reason:
            codes = mentor.pause_reason.params_of(LAPSED)["types"]
            types = ", ".join(type_names.get(code, code) for code in codes)
            mentor.why = _("%(types)s has lapsed") % {"types": types}
        else:
            mentor.why = f"{mentor.get_pause_cause_display()}: {mentor.pause_reason}".removesuffix(": ")
    return first


def find_undelivered(organisation: Organisation, *, scope: Scope) -> TopRows:
    """Return the newest messages about mentors whom the user sees that did not arrive."""
    undelivered = Notification.objects.filter(
        scope.mentors("about"), organisation=organisation, status__in=Notification.DEAD_LETTERS
    )
    people = undelivered.select_related("about", "recipient_mentor", "recipient_user")
    return _first(people.order_by("-id"), MOST_UNDELIVERED)


def find_incidents(organisation: Organisation, *, scope: Scope) -> list[Incident]:
    """Return what is wrong now for the organisation, and to whom leads it, what is wrong with the service."""
    concerned = Q(organisation=organisation)
    if scope.everything or organisation.pk in scope.led:
        concerned |= Q(organisation__isnull=True)
    return list(Incident.objects.filter(concerned, ended_at__isnull=True).order_by("began_at"))
