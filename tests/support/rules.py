"""What the tests of the rules say of mentors and organisations in a word each."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from mentors.status import change_status
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import run_night

PAUSED_AS_EXPIRED = ("paused", "certification_expired")


def in_days(days: int) -> date:
    return TODAY + timedelta(days=days)


def exempt(mentor: Mentor, type: CertificationType, approved_by: User, *, begins: int = 0, ends: int = 0) -> Exemption:
    return Exemption.objects.create(
        mentor=mentor,
        type=type,
        from_on=in_days(begins),
        until_on=in_days(ends),
        reason="The course is full.",
        approved_by=approved_by,
    )


def pause(mentor: Mentor, cause: Mentor.PauseCause = Mentor.PauseCause.MANUAL) -> None:
    change_status(
        {mentor.pk: verbatim("asked to")},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=cause,
        now=NOW,
    )


def status(mentor: Mentor) -> tuple[str, str | None]:
    mentor.refresh_from_db()
    return mentor.status, mentor.pause_cause


def configure(organisation: Organisation, **fields: Any) -> Organisation:
    Organisation.objects.filter(pk=organisation.pk).update(**fields)
    organisation.refresh_from_db()
    return organisation


def paused_by_the_night(organisation: Organisation, mentor: Mentor, certify: Certify) -> Certification:
    expired = certify(mentor, expires_in=-2)
    run_night(organisation, in_days(-1))
    return expired
