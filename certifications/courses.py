"""Recording a whole course: everybody who attended gets the same certification, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.lapses_on import lock_to_certify
from certifications.mentor_status import resume_renewed
from certifications.models import Certification, CertificationType
from certifications.recording import Expiry
from certifications.resume_preview import find_would_be_resumed, would_cover_today
from mentors.conflicts import ConflictError
from mentors.models import Mentor, MentorQuerySet, User


class SomeAreElsewhere(ConflictError):
    """A course is held for mentors of one organisation, and all who are named are still there."""

    code = "mentors_elsewhere"
    message = gettext_lazy("Some of the chosen are not mentors of the type's organisation: choose again.")


@dataclass(frozen=True, kw_only=True)
class Course:
    """What was held: it expires as the type says unless `expires_on` is given; None is open-ended."""

    type: CertificationType
    issued_on: date
    expires_on: date | Literal[Expiry.BY_TYPE] | None = Expiry.BY_TYPE
    number: str = ""

    @property
    def valid_through(self) -> date | None:
        return self.type.default_expiry(self.issued_on) if self.expires_on is Expiry.BY_TYPE else self.expires_on

    def certification_of(self, mentor: Mentor) -> Certification:
        return Certification(
            mentor=mentor,
            type=self.type,
            number=self.number,
            issued_on=self.issued_on,
            expires_on=self.valid_through,
        )


@dataclass(frozen=True, kw_only=True)
class Attendance:
    """What a course brings, or brought: who gets the certification, who has it already, and who of them is resumed."""

    recorded: Sequence[Mentor]
    unchanged: Sequence[Mentor]
    resumed: frozenset[int]


def preview_course(course: Course, *, mentor_ids: Collection[int], now: datetime) -> Attendance:
    """Say what `renew_course` would do; nothing is written. Raises what it raises."""
    mentors = list(_attendees(course, mentor_ids))
    new, same = _part(course, mentors, mentor_ids)
    covers = would_cover_today(course.type, issued_on=course.issued_on, expires_on=course.valid_through, now=now)
    covered = {mentor.pk: {course.type.code} for mentor in new} if covers else {}
    resumed = find_would_be_resumed(new, covered=covered, now=now)
    return Attendance(recorded=new, unchanged=same, resumed=frozenset(resumed))


@transaction.atomic
def record_course(
    course: Course, *, mentor_ids: Collection[int], now: datetime, actor: User | None = None
) -> Attendance:
    """Record the course for everybody who attended, or for nobody; whoever has it already is left unchanged.

    Resumes by rule 5. Raises ValidationError, and SomeAreElsewhere.
    """
    mentors = list(lock_to_certify(_attendees(course, mentor_ids)))
    new, same = _part(course, mentors, mentor_ids)
    Certification.objects.bulk_create((course.certification_of(mentor) for mentor in new), batch_size=1000)
    resumed = resume_renewed(
        organisation=course.type.organisation, mentor_ids=[mentor.pk for mentor in new], now=now, actor=actor
    )
    return Attendance(recorded=_by_name(new), unchanged=_by_name(same), resumed=frozenset(resumed))


def _attendees(course: Course, mentor_ids: Collection[int]) -> MentorQuerySet:
    mentors = Mentor.objects.of(course.type.organisation).select_related("organisation", "chapter")
    return mentors.filter(pk__in=mentor_ids)


def _part(course: Course, mentors: list[Mentor], mentor_ids: Collection[int]) -> tuple[list[Mentor], list[Mentor]]:
    """Return who has no such certification yet, and who has. Raises if the course cannot be recorded at all."""
    if len(mentors) != len(set(mentor_ids)):
        raise SomeAreElsewhere
    _check(course, mentors)
    same = Certification.objects.filter(
        mentor__in=mentors, type=course.type, number=course.number, issued_on=course.issued_on
    )
    have = set(same.values_list("mentor", flat=True))
    return [m for m in mentors if m.pk not in have], [m for m in mentors if m.pk in have]


def _check(course: Course, mentors: list[Mentor]) -> None:
    """Check the dates and the number once: they are the same for all."""
    if not mentors:
        raise ValidationError({"attendees": _("Choose at least one.")})
    certification = course.certification_of(mentors[0])
    certification.clean_fields(exclude=["mentor", "type"])
    if certification.expires_on and certification.expires_on < course.issued_on:
        raise ValidationError({"expires_on": _("It would expire before it is issued.")})


def _by_name(mentors: list[Mentor]) -> list[Mentor]:
    return sorted(mentors, key=lambda mentor: (mentor.name, mentor.pk))
