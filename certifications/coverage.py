"""Who is covered on a day: rules 2, 3 and 11, asked of one mentor or of a chapter."""

from __future__ import annotations

from datetime import date

from django.db.models import Exists, OuterRef

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Chapter, Mentor, MentorQuerySet


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


def missing_types(*, mentor: Mentor, on: date) -> list[CertificationType]:
    """Return the required types never held (rule 3): shown to coordinators, never a cause of a pause."""
    lapsed = lapsed_types(mentor=mentor, on=on)
    return [uncovered for uncovered in uncovered_types(mentor=mentor, on=on) if uncovered not in lapsed]


def publicly_listed(*, chapter: Chapter, on: date) -> MentorQuerySet:
    """Return whom the public page of a chapter shows (rule 11), whatever became of the last night."""
    lapsed = Certification.objects.lapsed(on=on).filter(mentor=OuterRef("pk"))
    return Mentor.objects.active().filter(chapter=chapter, listed=True).exclude(Exists(lapsed))
