"""Whom a renewal would resume: what a preview says, before anything is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime

from certifications.expiry import find_types_against_resuming
from certifications.models import CertificationType
from certifications.states import calendar_of
from mentors.models import Mentor


def find_would_be_resumed(
    mentors: Iterable[Mentor], *, covered: Mapping[int, AbstractSet[str]], now: datetime
) -> set[int]:
    """Return whom rule 5 would resume, by id, if of each mentor these types, by their codes, were covered today.

    The mentors come with their organisations, and none is changed: the act itself asks the database again.
    """
    by_day: dict[date, list[int]] = defaultdict(list)
    for mentor in mentors:
        if mentor.organisation.auto_resume and mentor.pause_cause == Mentor.PauseCause.CERTIFICATION_EXPIRED:
            by_day[mentor.organisation.local_date(now)].append(mentor.pk)
    return {
        row["mentor_id"]
        for on, mentor_ids in by_day.items()
        for row in find_types_against_resuming(mentor_ids, on=on, now=now)
        if set((row["codes"] or "").split(",")) <= covered.get(row["mentor_id"], set()) | {""}
    }


def would_cover_today(type: CertificationType, *, issued_on: date, expires_on: date | None, now: datetime) -> bool:
    """Say whether one with these dates covers its type today (rules 1 and 2)."""
    calendar = calendar_of(type, now=now)
    return issued_on <= calendar.today and (expires_on is None or expires_on > calendar.lapsed_through)
