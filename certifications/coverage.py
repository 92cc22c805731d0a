"""Who is covered on a day (docs/rules.md, rules 2, 3 and 11), asked of one mentor or of a chapter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Chapter, Mentor


def lapsed_types(*, mentor: Mentor, on: date) -> list[CertificationType]:
    """Return the lapsed types of the mentor on the day (rule 3), by code."""
    lapsed = Certification.objects.lapsed(on=on).filter(mentor=mentor)
    return list(CertificationType.objects.filter(pk__in=lapsed.values("type")).order_by("code"))


def uncovered_types(*, mentor: Mentor, on: date) -> list[CertificationType]:
    """Return the required types that nothing covers on the day (rule 2): the lapsed and the missing, by code."""
    this_type = {"mentor": mentor, "type": OuterRef("pk")}
    return list(
        CertificationType.objects.filter(organisation=mentor.organisation_id, required=True)
        .exclude(Exists(Certification.objects.covering(on=on).filter(**this_type)))
        .exclude(Exists(Exemption.objects.in_force(on=on).filter(**this_type)))
        .order_by("code")
    )


@dataclass(frozen=True)
class Gaps:
    """The codes of the required types that nothing covers, sorted: those that lapsed, and those never held (rule 3)."""

    lapsed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find_gaps(days: Mapping[int, date]) -> dict[int, Gaps]:
    """Return the gaps of each mentor, by id, on the day given for that mentor; with one query for all."""
    mentors: dict[date, list[int]] = defaultdict(list)
    for mentor_id, on in days.items():
        mentors[on].append(mentor_id)
    uncovered = [_uncovered(mentor_ids, on=on) for on, mentor_ids in mentors.items()]
    gaps = {mentor_id: Gaps() for mentor_id in days}
    if not uncovered:
        return gaps
    for mentor_id, code, held in uncovered[0].union(*uncovered[1:], all=True).order_by("code"):
        (gaps[mentor_id].lapsed if held else gaps[mentor_id].missing).append(code)
    return gaps


def _uncovered(mentor_ids: Iterable[int], *, on: date) -> QuerySet[Any, Any]:
    """Return (mentor, code, whether it was ever held) for each required type that nothing covers on the day."""
    same = {"mentor": OuterRef("mentor"), "type": OuterRef("pk")}
    required = CertificationType.objects.filter(required=True, organisation__mentors__in=mentor_ids)
    return (
        required.annotate(mentor=F("organisation__mentors"))
        .exclude(Exists(Certification.objects.covering(on=on).filter(**same)))
        .exclude(Exists(Exemption.objects.in_force(on=on).filter(**same)))
        .annotate(held=Exists(Certification.objects.in_force().filter(issued_on__lte=on, **same)))
        .order_by()
        .values_list("mentor", "code", "held")
    )


@dataclass(frozen=True, kw_only=True)
class PublicList:
    """Who stands on the public page of a chapter."""

    names: list[str]
    is_searchable: bool  # whether there is somebody, and everybody there consents to be found by search engines


def public_names(*, chapter: Chapter, on: date) -> list[str]:
    """Return the names on the public page of a chapter, sorted (rule 11)."""
    return find_public_list(chapter=chapter, on=on).names


def find_public_list(*, chapter: Chapter, on: date) -> PublicList:
    """Return what the public page of a chapter shows (rule 11), whatever became of the last night.

    Only those are checked who can have lapsed: whose `lapses_on` has come, or who hold a certification that begins
    later and so may have a gap today. Of the others every required type that they hold is covered. On most days that
    leaves hardly anybody to check, and the page is asked for often.
    """
    begins_later = Certification.objects.in_force().filter(issued_on__gt=on, mentor__chapter=chapter)
    uncertain = Q(lapses_on__lte=on) | Q(pk__in=begins_later.order_by().values("mentor"))
    listed = Mentor.objects.active().filter(chapter=chapter, listed=True).order_by("name", "id")
    rows = list(listed.annotate(needs_check=uncertain).values_list("pk", "name", "searchable", "needs_check"))
    to_check = [pk for pk, _name, _searchable, needs_check in rows if needs_check]
    lapsed = set(_lapsed(on).filter(mentor__in=to_check).values_list("mentor", flat=True)) if to_check else set()
    shown = [(name, searchable) for pk, name, searchable, _needs_check in rows if pk not in lapsed]
    return PublicList(
        names=[name for name, _searchable in shown],
        is_searchable=bool(shown) and all(searchable for _name, searchable in shown),
    )


@lru_cache(maxsize=4)
def _lapsed(on: date) -> QuerySet[Certification]:
    """Return rule 3 of a day, built once: Django takes longer to build it than PostgreSQL to answer it."""
    return Certification.objects.lapsed(on=on).order_by()


STAND_INS = 5


def find_stand_ins(chapter_ids: Iterable[int], *, on: date) -> dict[int, list[str]]:
    """Return by chapter the names of some active mentors with nothing lapsed or missing: they may take over."""
    by_chapter: dict[int, list[str]] = defaultdict(list)
    candidates = Mentor.objects.active().filter(chapter__in=set(chapter_ids)).exclude(lapses_on__lte=on)
    mentors = list(candidates.order_by("name", "pk").only("name", "chapter_id"))
    gaps = find_gaps({mentor.pk: on for mentor in mentors})
    for mentor in mentors:
        gap = gaps[mentor.pk]
        if not gap.lapsed and not gap.missing and len(by_chapter[mentor.chapter_id]) < STAND_INS:
            by_chapter[mentor.chapter_id].append(mentor.name)
    return dict(by_chapter)
