"""What a person, or a renewal, changes at once in a mentor's status, and who is told.

Every function here works on a mentor that is locked, so that the night and a person never decide on the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from certifications.coverage import lapsed_types
from certifications.expiry import apply_auto_resume
from certifications.lapses_on import lock_to_certify
from certifications.models import CertificationType, Exemption
from mentors.conflicts import ConflictError
from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from mentors.status import change_status
from notifications.models import Notification
from notifications.outbox import Event
from notifications.service import get_notification_service


class LapsedTypesRemain(ConflictError):
    """The mentor still has lapsed types, and no exemption from them (rule 10)."""

    code = "lapsed_types_remain"
    message = gettext_lazy("Lapsed: %(types)s. Record the renewal, or grant an exemption with an end and a reason.")

    def __init__(self, types: list[CertificationType]) -> None:
        self.types = types
        super().__init__(self.message % {"types": ", ".join(lapsed.code for lapsed in types)})


class StatusForbids(ConflictError):
    """A pause by a person is not made twice, only paused mentors are resumed, and none is ended twice."""

    code = "status_forbids"


# Whole sentences: a status is another word in each language, and in some places another form of it.
CANNOT_PAUSE = {
    Mentor.Status.PAUSED: gettext_lazy("The mentor is paused already, until a person resumes."),
    Mentor.Status.ENDED: gettext_lazy("The mentor is ended: only an active one can be paused."),
}
NOT_PAUSED = {
    Mentor.Status.ACTIVE: gettext_lazy("The mentor is active: only a paused one can be resumed."),
    Mentor.Status.ENDED: gettext_lazy("The mentor is ended: only a paused one can be resumed."),
}


@transaction.atomic
def pause_mentor(mentor: Mentor, *, reason: str, actor: User, now: datetime) -> None:
    """Pause a mentor by hand, also one whom the night has paused; only a person lifts it (rule 5).

    Raises StatusForbids.
    """
    mentor = lock_mentor(mentor)
    if not mentor.can_be_paused:
        raise StatusForbids(str(CANNOT_PAUSE[Mentor.Status(mentor.status)]))
    changes = change_status(
        {mentor.pk: verbatim(reason)},
        from_status=Mentor.Status(mentor.status),
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.MANUAL,
        now=now,
        actor=actor,
    )
    announce_changes(Notification.Kind.PAUSE, changes, organisation=mentor.organisation, now=now)


@transaction.atomic
def reactivate_mentor(
    mentor: Mentor, *, reason: str, actor: User, now: datetime, exempt_until: date | None = None
) -> None:
    """Resume a paused mentor by hand (rule 10).

    Raises LapsedTypesRemain if a type has lapsed and no exemption is given; with `exempt_until` every lapsed type
    is exempted from today on. Raises StatusForbids, and ValidationError for an end that has passed.
    """
    mentor = lock_mentor(mentor)
    if mentor.status != Mentor.Status.PAUSED:
        raise StatusForbids(str(NOT_PAUSED[Mentor.Status(mentor.status)]))
    today = mentor.organisation.local_date(now)
    if exempt_until is not None and exempt_until < today:
        raise ValidationError({"exempt_until": _("This day has passed.")})
    lapsed = lapsed_types(mentor=mentor, on=today)
    if lapsed and exempt_until is None:
        raise LapsedTypesRemain(lapsed)
    if exempt_until is not None:
        Exemption.objects.bulk_create(
            Exemption(mentor=mentor, type=type, from_on=today, until_on=exempt_until, reason=reason, approved_by=actor)
            for type in lapsed
        )
    changes = change_status(
        {mentor.pk: verbatim(reason)},
        from_status=Mentor.Status.PAUSED,
        to_status=Mentor.Status.ACTIVE,
        cause=Mentor.PauseCause(mentor.pause_cause) if mentor.pause_cause else None,
        now=now,
        actor=actor,
    )
    announce_changes(Notification.Kind.RESUME, changes, organisation=mentor.organisation, now=now)


@transaction.atomic
def end_mentor(mentor: Mentor, *, reason: str, actor: User, now: datetime) -> None:
    """End a mentor's service; the night reminds and pauses no more. Raises StatusForbids if it has ended."""
    mentor = lock_mentor(mentor)
    if mentor.status == Mentor.Status.ENDED:
        raise StatusForbids(_("The mentor has ended already."))
    change_status(
        {mentor.pk: verbatim(reason)},
        from_status=Mentor.Status(mentor.status),
        to_status=Mentor.Status.ENDED,
        cause=None,
        now=now,
        actor=actor,
    )


def resume_renewed(
    *, organisation: Organisation, mentor_ids: Iterable[int], now: datetime, actor: User | None = None
) -> set[int]:
    """Resume, of the locked mentors, those with no lapsed type left (rule 5), and tell; return whom it resumed."""
    resumed = apply_auto_resume(
        organisation=organisation,
        mentor_ids=mentor_ids,
        on=organisation.local_date(now),
        now=now,
        actor=actor,
    )
    announce_changes(Notification.Kind.RESUME, resumed, organisation=organisation, now=now)
    return set(resumed)


def lock_mentor(mentor: Mentor) -> Mentor:
    return lock_to_certify(Mentor.objects.select_related("organisation").filter(pk=mentor.pk)).get()


def announce_changes(
    kind: Notification.Kind, changes: dict[int, int], *, organisation: Organisation, now: datetime, types: str = ""
) -> None:
    """Tell of status changes that no run made: `changes` is from `change_status`, `types` are codes with commas."""
    names = CertificationType.objects.named(types, organisation=organisation)
    events = [
        Event(
            kind=kind,
            mentor_id=mentor_id,
            key=f"{kind}:{mentor_id}:by:{change_id}",
            facts={"types": types, "names": names},
        )
        for mentor_id, change_id in changes.items()
    ]
    get_notification_service().announce(events, organisation=organisation, now=now)
