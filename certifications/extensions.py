"""Extending many certifications at once, with a reason, and undoing it.

plan_extension ── what would be done ──► extend_certifications ── what was done, kept ──► undo_extension
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import cast

from dateutil.relativedelta import relativedelta
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery, TextChoices
from django.utils.translation import gettext_lazy as _

from certifications.lapses_on import lock_to_certify
from certifications.mentor_status import resume_renewed
from certifications.models import LAST_DAY, Certification, ExtendedCertification, Extension
from certifications.resume_preview import find_would_be_resumed, would_cover_today
from mentors.conflicts import ConflictError
from mentors.models import Mentor, Organisation, User


class SeveralOrganisations(ConflictError):
    """An extension is one organisation's decision."""

    code = "several_organisations"
    message = _("They belong to several organisations: extend those of one organisation at a time.")


class NothingToExtend(ConflictError):
    """At least one certification is extended, or there is nothing to keep."""

    code = "nothing_to_extend"
    message = _("None of them can be extended like this: choose others, or a later day.")


class NotAsSeen(ConflictError):
    """What a person has looked at and confirmed is not what would be done now."""

    code = "not_as_seen"
    message = _("Some of them have changed since the preview, perhaps by this very extension: look at it again.")


class AlreadyUndone(ConflictError):
    """An extension is undone once."""

    code = "already_undone"
    message = _("It has been undone already.")


class LeftOut(TextChoices):
    """Why a certification is not extended."""

    REVOKED = "revoked", _("revoked: it stays as it is")
    OPEN_ENDED = "open_ended", _("open-ended: it never expires")
    NOT_LATER = "not_later", _("expires then or later as it is")
    TOO_FAR = "too_far", _("would expire later than a calendar reasonably goes")


@dataclass(frozen=True, kw_only=True)
class Until:
    """How far: through a day, or by so many days and months from what each has; an end of a month stays in it."""

    on: date | None = None
    days: int = 0
    months: int = 0

    def of(self, expires_on: date) -> date | None:
        """Return the new last day, or None for one that no calendar has."""
        if self.on is not None:
            return self.on
        try:
            return expires_on + relativedelta(months=self.months) + timedelta(days=self.days)
        except (OverflowError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One certification's part in an extension: `to_on`, or why it is left out."""

    certification: Certification
    to_on: date | None = None
    left_out: LeftOut | None = None


@dataclass(frozen=True, kw_only=True)
class ExtensionPlan:
    """What an extension would do."""

    organisation: Organisation
    steps: Sequence[Step]
    resumed: frozenset[int]

    @property
    def extended(self) -> list[Step]:
        return [step for step in self.steps if step.left_out is None]

    @property
    def fingerprint(self) -> str:
        """Name what would be done, so that it can be confirmed: another plan has another."""
        steps = [(step.certification.pk, str(step.certification.expires_on), str(step.to_on)) for step in self.steps]
        return sha256(repr((sorted(steps), sorted(self.resumed))).encode()).hexdigest()


def plan_extension(certification_ids: Collection[int], *, until: Until, now: datetime) -> ExtensionPlan:
    """Say what `extend_certifications` would do; nothing is written. Raises SeveralOrganisations, NothingToExtend."""
    certifications = _certifications(certification_ids)
    plan = _plan(certifications, until=until)
    mentors = {step.certification.mentor_id: step.certification.mentor for step in plan.extended}
    resumed = find_would_be_resumed(mentors.values(), covered=_covered(plan, now=now), now=now)
    return ExtensionPlan(organisation=plan.organisation, steps=plan.steps, resumed=frozenset(resumed))


@transaction.atomic
def extend_certifications(
    certification_ids: Collection[int], *, until: Until, reason: str, by: User, now: datetime, seen: str | None = None
) -> tuple[Extension, ExtensionPlan]:
    """Let the certifications expire later, and keep what each was; resumes by rule 5.

    What cannot be extended is left out. `seen` is the fingerprint of the plan that was confirmed: what is confirmed
    twice is done once. Raises SeveralOrganisations, NothingToExtend, and NotAsSeen.
    """
    _lock_mentors(Certification.objects.filter(pk__in=certification_ids))
    plan = plan_extension(certification_ids, until=until, now=now)
    if seen is not None and seen != plan.fingerprint:
        raise NotAsSeen
    if not plan.extended:
        raise NothingToExtend
    extension = Extension.objects.create(organisation=plan.organisation, reason=reason, by=by, at=now)
    rows = [
        ExtendedCertification(
            extension=extension,
            certification=step.certification,
            from_on=cast("date", step.certification.expires_on),  # of what is not left out
            to_on=cast("date", step.to_on),
        )
        for step in plan.extended
    ]
    ExtendedCertification.objects.bulk_create(rows, batch_size=1000)
    _set_expiry(extension.certifications.all(), to="to_on", now=now)
    mentor_ids = {step.certification.mentor_id for step in plan.extended}
    resumed = resume_renewed(organisation=plan.organisation, mentor_ids=mentor_ids, now=now, actor=by)
    return extension, ExtensionPlan(organisation=plan.organisation, steps=plan.steps, resumed=frozenset(resumed))


@transaction.atomic
def undo_extension(
    extension: Extension, *, reason: str, by: User, now: datetime
) -> tuple[int, list[ExtendedCertification]]:
    """Give each certification back the expiry that it had; return how many, and those that are left alone.

    Left alone is what has changed since: renewed, extended again, revoked. One that was extended again has its old
    expiry once that extension is undone too. Nobody is paused by it at once: the next night finds who has lapsed again
    (rule 4). Raises AlreadyUndone.
    """
    locked = Extension.objects.select_for_update().get(pk=extension.pk)
    if locked.undone_at is not None:
        raise AlreadyUndone(id=extension.pk)
    _lock_mentors(Certification.objects.filter(extensions__extension=extension))
    untouched = extension.certifications.filter(
        certification__expires_on=F("to_on"),
        certification__issued_on__lte=F("from_on"),
        certification__revoked_at__isnull=True,
    )
    restored = list(untouched.values_list("pk", flat=True))
    rows = extension.certifications.filter(pk__in=restored)
    _set_expiry(rows, to="from_on", now=now)
    rows.update(undone=True)
    _leave_to_later(extension)
    locked.undone_by, locked.undone_at, locked.undone_reason = by, now, reason
    locked.save(update_fields=["undone_by", "undone_at", "undone_reason"])
    extension.refresh_from_db()
    left = extension.certifications.filter(undone=False).select_related("certification__mentor", "certification__type")
    return len(restored), list(left)


def _leave_to_later(extension: Extension) -> None:
    """Let later extensions that built on this one give back, when they are undone, what was before both."""
    base = ExtendedCertification.objects.filter(
        extension=extension, certification=OuterRef("certification"), to_on=OuterRef("from_on"), undone=False
    )
    later = ExtendedCertification.objects.filter(extension__gt=extension.pk, undone=False).filter(Exists(base))
    later.update(from_on=Subquery(base.values("from_on")))


def _certifications(ids: Collection[int]) -> list[Certification]:
    related = ("mentor__organisation", "mentor__chapter", "type__organisation")
    found = Certification.objects.filter(pk__in=ids).select_related(*related)
    return list(found.order_by("mentor__name", "mentor", "expires_on", "pk"))


def _lock_mentors(certifications: QuerySet[Certification]) -> None:
    mentors = Mentor.objects.filter(pk__in=certifications.order_by().values("mentor"))
    list(lock_to_certify(mentors).values_list("pk"))


def _plan(certifications: list[Certification], *, until: Until) -> ExtensionPlan:
    organisations = {certification.mentor.organisation for certification in certifications}
    if len(organisations) > 1:
        raise SeveralOrganisations
    if not organisations:
        raise NothingToExtend
    steps = [_step(certification, until) for certification in certifications]
    return ExtensionPlan(organisation=organisations.pop(), steps=steps, resumed=frozenset())


def _step(certification: Certification, until: Until) -> Step:
    if certification.revoked_at is not None:
        return Step(certification=certification, left_out=LeftOut.REVOKED)
    if certification.expires_on is None:
        return Step(certification=certification, left_out=LeftOut.OPEN_ENDED)
    to_on = until.of(certification.expires_on)
    if to_on is None or to_on > LAST_DAY:
        return Step(certification=certification, left_out=LeftOut.TOO_FAR)
    if to_on <= certification.expires_on:
        return Step(certification=certification, left_out=LeftOut.NOT_LATER)
    return Step(certification=certification, to_on=to_on)


def _covered(plan: ExtensionPlan, *, now: datetime) -> dict[int, set[str]]:
    """Return the codes of the types that the extended certifications would cover today, by the mentor's id."""
    covered: dict[int, set[str]] = defaultdict(set)
    for step in plan.extended:
        certification = step.certification
        if would_cover_today(certification.type, issued_on=certification.issued_on, expires_on=step.to_on, now=now):
            covered[certification.mentor_id].add(certification.type.code)
    return covered


def _set_expiry(rows: QuerySet[ExtendedCertification], *, to: str, now: datetime) -> None:
    """Let each certification of the rows expire on the row's day, in one statement."""
    day = rows.filter(certification=OuterRef("pk")).values(to)[:1]
    Certification.objects.filter(pk__in=rows.values("certification")).update(expires_on=Subquery(day), updated_at=now)
