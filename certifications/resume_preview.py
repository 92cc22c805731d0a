"""Whom a renewal would resume: what a preview says, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime

from certifications.coverage import find_gaps
from certifications.models import CertificationType
from certifications.states import calendar_of
from mentors.models import Mentor


def find_would_be_resumed(
    mentors: Iterable[Mentor], *, covered: Mapping[int, AbstractSet[str]], now: datetime
) -> set[int]:
    """Return whom rule 5 would resume, by id, if of each mentor these types, by their codes, were covered today.

    The mentors come with their organisations, and none is changed: the act itself asks the database again.
    """
    paused = {
        mentor.pk: mentor.organisation.local_date(now)
        for mentor in mentors
        if mentor.organisation.auto_resume and mentor.pause_cause == Mentor.PauseCause.CERTIFICATION_EXPIRED
    }
    gaps = find_gaps(paused)
    return {mentor_id for mentor_id in paused if set(gaps[mentor_id].lapsed) <= covered.get(mentor_id, set())}


def would_cover_today(type: CertificationType, *, issued_on: date, expires_on: date | None, now: datetime) -> bool:
    """Say whether one with these dates covers its type today (rules 1 and 2)."""
    calendar = calendar_of(type, now=now)
    return issued_on <= calendar.today and (expires_on is None or expires_on > calendar.lapsed_through)
