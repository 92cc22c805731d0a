"""Recording, renewing, changing, revoking and removing certifications, each with what follows for the mentor.

Every function locks the mentor first, so that the night and a person never decide on the same mentor at once.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.coverage import uncovered_types
from certifications.mentor_status import announce_changes, lock_mentor, resume_renewed
from certifications.models import Certification, CertificationType, Exemption
from mentors.conflicts import ChangedMeanwhile, ConflictError
from mentors.models import Mentor, User
from mentors.record_text import verbatim
from mentors.status import change_status
from notifications.models import Notification


class Expiry(Enum):
    """Where a certification's expiry comes from, if it is not given."""

    BY_TYPE = "by_type"


class AlreadyRecorded(ConflictError):
    """The mentor has one of this type, number and day of issue."""

    code = "already_recorded"
    message = gettext_lazy("It is recorded already: change that one.")


class Revoked(ConflictError):
    """What is revoked is not changed any more."""

    code = "revoked"
    message = gettext_lazy("It has been revoked and stays as it is: record a new one.")


@transaction.atomic
def record_certification(
    *,
    mentor: Mentor,
    type: CertificationType,
    issued_on: date,
    now: datetime,
    expires_on: date | Literal[Expiry.BY_TYPE] | None = Expiry.BY_TYPE,
    number: str = "",
    actor: User | None = None,
) -> Certification:
    """Record a certification. Resumes the mentor by rule 5.

    It expires as its type says, unless `expires_on` is given; None is open-ended. Raises ValidationError, and
    AlreadyRecorded with the id of the same certification.
    """
    locked = lock_mentor(mentor)
    certification = Certification(mentor=mentor, type=type, number=number, issued_on=issued_on)
    certification.clean_fields(exclude=["expires_on"])
    certification.expires_on = type.default_expiry(issued_on) if expires_on is Expiry.BY_TYPE else expires_on
    _check(certification)
    certification.save(force_insert=True)
    _resume(locked, now=now, actor=actor)
    return certification


def renew_certification(
    certification: Certification,
    *,
    issued_on: date,
    now: datetime,
    expires_on: date | Literal[Expiry.BY_TYPE] | None = Expiry.BY_TYPE,
    number: str | None = None,
    actor: User | None = None,
) -> Certification:
    """Record the successor of a certification; the old one stays as history."""
    return record_certification(
        mentor=certification.mentor,
        type=certification.type,
        number=certification.number if number is None else number,
        issued_on=issued_on,
        expires_on=expires_on,
        now=now,
        actor=actor,
    )


@transaction.atomic
def change_certification(
    certification: Certification, *, now: datetime, actor: User | None = None, **changes: Any
) -> Certification:
    """Change fields of a certification, e.g. a later `expires_on`. Resumes the mentor by rule 5.

    Raises ValidationError, AlreadyRecorded if it would be the same as another, Revoked, and ChangedMeanwhile.
    """
    locked = lock_mentor(certification.mentor)
    _refuse_if_gone_or_revoked(certification)
    for field, value in changes.items():
        setattr(certification, field, value)
    _check(certification)
    certification.save(update_fields=[*changes, "updated_at"])
    _resume(locked, now=now, actor=actor)
    return certification


@transaction.atomic
def remove_certification(certification: Certification) -> None:
    """Remove a certification that was recorded by mistake; its history stays."""
    lock_mentor(certification.mentor)
    certification.delete()


@transaction.atomic
def revoke_certification(certification: Certification, *, reason: str, actor: User, now: datetime) -> None:
    """Revoke a certification, and pause the mentor at once if a required type is left uncovered (rule 9).

    A mentor paused by the night is from now on paused because of the revocation, which only a person lifts: no
    non-revoked certification of the type may be left to lapse, and rule 5 would see nothing wrong. Raises Revoked if
    it has been, and ChangedMeanwhile if it is gone.
    """
    mentor = lock_mentor(certification.mentor)
    _refuse_if_gone_or_revoked(certification)
    certification.revoked_at, certification.revoked_reason = now, reason
    certification.save(update_fields=["revoked_at", "revoked_reason", "updated_at"])
    uncovered = uncovered_types(mentor=mentor, on=mentor.organisation.local_date(now))
    if certification.type not in uncovered:
        return
    if mentor.can_be_paused:
        codes = ",".join(uncovered_type.code for uncovered_type in uncovered)
        changes = change_status(
            {mentor.pk: verbatim(reason)},
            from_status=Mentor.Status(mentor.status),
            to_status=Mentor.Status.PAUSED,
            cause=Mentor.PauseCause.CERTIFICATION_REVOKED,
            now=now,
            actor=actor,
            paused_for={mentor.pk: [uncovered_type.pk for uncovered_type in uncovered]},
        )
        announce_changes(Notification.Kind.PAUSE, changes, organisation=mentor.organisation, now=now, types=codes)


@transaction.atomic
def grant_exemption(
    *,
    mentor: Mentor,
    type: CertificationType,
    from_on: date,
    until_on: date,
    reason: str,
    approved_by: User,
    now: datetime,
) -> Exemption:
    """Let a mentor go on without a certification of the type for a while. Resumes the mentor by rule 5."""
    locked = lock_mentor(mentor)
    exemption = Exemption.objects.create(
        mentor=mentor, type=type, from_on=from_on, until_on=until_on, reason=reason, approved_by=approved_by
    )
    _resume(locked, now=now, actor=approved_by)
    return exemption


def _check(certification: Certification) -> None:
    certification.full_clean(validate_unique=False, validate_constraints=False)
    if certification.expires_on and certification.expires_on < certification.issued_on:
        raise ValidationError({"expires_on": _("It would expire before it is issued.")})
    # The lock on the mentor keeps others from recording it meanwhile; the constraint is behind it.
    same = Certification.objects.filter(
        mentor=certification.mentor_id,
        type=certification.type_id,
        number=certification.number,
        issued_on=certification.issued_on,
    ).exclude(pk=certification.pk)
    if other := same.values_list("pk", flat=True).first():
        raise AlreadyRecorded(id=other)


def _refuse_if_gone_or_revoked(certification: Certification) -> None:
    current = Certification.objects.filter(pk=certification.pk).values("revoked_at").first()
    if current is None:
        raise ChangedMeanwhile(id=certification.pk)
    if current["revoked_at"] is not None:
        raise Revoked(id=certification.pk)


def _resume(mentor: Mentor, *, now: datetime, actor: User | None) -> None:
    resume_renewed(organisation=mentor.organisation, mentor_ids=[mentor.pk], now=now, actor=actor)
