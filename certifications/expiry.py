"""Pausing whose certification has expired, resuming who renewed (docs/rules.md, rules 4 and 5).

The finders say who is due; `cronjobs` plans from them, and the appliers ask them again for the mentors that the
caller has locked, so that what is no longer true is never done (rule 8).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import structlog
from django.contrib.postgres.aggregates import StringAgg
from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.lookups import GreaterThan

from certifications import record_text
from certifications.models import Certification, CertificationType, Exemption
from mentors.clock import CLOCKS_DIFFER
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.status import change_status

log = structlog.get_logger(__name__)


def find_expired_certifications(
    *, organisation: Organisation, on: date, now: datetime, mentor_ids: Iterable[int] | None = None
) -> QuerySet[Any, Any]:
    """Return a row for each mentor whom rule 4 may pause on the day, of these or of all.

    A row has `mentor_id` and `codes`: the lapsed types, sorted, joined by commas; none, and the mentor is not paused.
    Only mentors are looked at whose `lapses_on` has come, or who hold a certification that begins later and so may
    have a gap today: the cost grows with what is due, not with history.
    """
    active = Mentor.objects.of(organisation).active().not_changed_by_a_later_day(than=on, now=now)
    if not organisation.auto_pause:
        active = active.none()
    if mentor_ids is not None:
        active = active.filter(pk__any_of=mentor_ids)
    begins_later = Certification.objects.in_force().filter(issued_on__gt=on, mentor__in=active)
    lapsing = active.filter(lapses_on__lte=on)
    candidates = lapsing.order_by().values("pk").union(begins_later.order_by().values("mentor_id"))
    return _name_lapsed_types(candidates, on=on)


def find_renewed_mentors(
    *, organisation: Organisation, on: date, now: datetime, mentor_ids: Iterable[int] | None = None
) -> QuerySet[Any, Any]:
    """Return a row for each mentor whom rule 5 may resume on the day, of these or of all.

    A row has `mentor_id` and `codes`: the types that stand against it; none, and the mentor is resumed.
    """
    paused = Mentor.objects.of(organisation).paused_because_expired().not_changed_by_a_later_day(than=on, now=now)
    if not organisation.auto_resume:
        paused = paused.none()
    if mentor_ids is not None:
        paused = paused.filter(pk__any_of=mentor_ids)
    exempted = Exemption.objects.in_force(on=on).filter(mentor__in=paused)
    renewed = paused.filter(Q(lapses_on__isnull=True) | Q(lapses_on__gt=on))
    candidates = renewed.order_by().values("pk").union(exempted.order_by().values("mentor_id"))
    return _name_types(candidates, _types_against_resuming(on=on))


def find_types_against_resuming(mentor_ids: Iterable[int], *, on: date, now: datetime) -> QuerySet[Any, Any]:
    """Return a row (mentor_id, codes) for each of these mentors whom the night has paused: see find_renewed_mentors."""
    paused = (
        Mentor.objects.paused_because_expired()
        .not_changed_by_a_later_day(than=on, now=now)
        .filter(pk__any_of=mentor_ids)
    )
    return _name_types(paused.order_by().values("pk"), _types_against_resuming(on=on))


def _name_lapsed_types(candidates: QuerySet[Any, Any], *, on: date) -> QuerySet[Any, Any]:
    lapsed = Certification.objects.lapsed(on=on).filter(mentor=OuterRef("pk")).order_by().values("mentor")
    codes = lapsed.annotate(codes=StringAgg("type__code", delimiter=",", distinct=True, order_by="type__code"))
    return _name_types(candidates, codes.values("codes"))


def _types_against_resuming(*, on: date) -> QuerySet[Any, Any]:
    """Return, for one mentor, the codes of the lapsed types and of those that the pause was for, unless covered."""
    pauses = StatusChange.objects.filter(mentor=OuterRef(OuterRef("pk")), to_status=Mentor.Status.PAUSED)
    newest = Subquery(pauses.order_by("-pk").values("paused_for")[:1])
    paused_for = GreaterThan(Func(newest, F("pk"), function="array_position", output_field=IntegerField()), 0)
    this = {"mentor": OuterRef(OuterRef("pk")), "type": OuterRef("pk")}
    held = Exists(Certification.objects.in_force().filter(issued_on__lte=on, **this))
    types = (
        CertificationType.objects.filter(organisation=OuterRef("organisation"), required=True)
        .filter(held | Q(paused_for))
        .exclude(Exists(Certification.objects.covering(on=on).filter(**this)))
        .exclude(Exists(Exemption.objects.in_force(on=on).filter(**this)))
    )
    codes = types.order_by().values("organisation").annotate(codes=StringAgg("code", delimiter=",", order_by="code"))
    return codes.values("codes")


def _name_types(candidates: QuerySet[Any, Any], codes: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Return a row (mentor_id, codes) for each of the mentors whose ids these are.

    A subquery asks for the certifications of one mentor at a time. As a join, PostgreSQL would rather read the whole
    table once than look some thousand mentors up; and where its statistics are old or none, as after an import, it
    would compare every certification with every other.
    """
    mentors = Mentor.objects.filter(pk__in=candidates).order_by()
    return mentors.annotate(mentor_id=F("pk"), codes=Subquery(codes)).values("mentor_id", "codes")


def days_to_ask(organisation: Organisation, *, on: date, now: datetime) -> list[date]:
    """Return the days of which a rule must be true before it is acted on (rule 8): the run's, and the organisation's.

    Mostly they are the same. Just before midnight, by this worker's clock, the run's day may have begun already.
    """
    today = organisation.local_date(now)
    return [on] if on in (today, organisation.local_date(now + CLOCKS_DIFFER)) else [on, today]


def apply_auto_pause(
    *, organisation: Organisation, mentor_ids: Iterable[int], on: date, now: datetime, run_id: UUID | None = None
) -> dict[int, str]:
    """Pause those of the locked mentors whom rule 4 still pauses, on the day and today.

    Return the codes of the types that have lapsed on both days, by mentor id.
    """
    mentor_ids = list(mentor_ids)
    lapsed, *others = (
        {
            row["mentor_id"]: row["codes"].split(",")
            for row in find_expired_certifications(organisation=organisation, on=day, now=now, mentor_ids=mentor_ids)
            if row["codes"]
        }
        for day in days_to_ask(organisation, on=on, now=now)
    )
    for other in others:
        both = {pk: [code for code in codes if code in other.get(pk, [])] for pk, codes in lapsed.items()}
        lapsed = {pk: codes for pk, codes in both.items() if codes}
    ids = dict(CertificationType.objects.filter(organisation=organisation).values_list("code", "pk"))
    paused = change_status(
        {mentor_id: record_text.LAPSED(types=codes) for mentor_id, codes in lapsed.items()},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.PAUSED,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=now,
        run_id=run_id,
        paused_for={mentor_id: [ids[code] for code in codes] for mentor_id, codes in lapsed.items()},
        business_date=on,
    )
    log_auto_pause_event(paused, on=on, run_id=run_id)
    return {mentor_id: ",".join(lapsed[mentor_id]) for mentor_id in paused}


def apply_auto_resume(
    *,
    organisation: Organisation,
    mentor_ids: Iterable[int],
    on: date,
    now: datetime,
    run_id: UUID | None = None,
    actor: User | None = None,
) -> dict[int, int]:
    """Resume those of the locked mentors whom rule 5 resumes, on the day and today.

    Return the id of its `StatusChange` by mentor id.
    """
    renewed = list(mentor_ids)
    for day in days_to_ask(organisation, on=on, now=now):
        found = find_renewed_mentors(organisation=organisation, on=day, now=now, mentor_ids=renewed)
        renewed = [row["mentor_id"] for row in found if not row["codes"]]
    return change_status(
        dict.fromkeys(renewed, record_text.NOT_LAPSED()),
        from_status=Mentor.Status.PAUSED,
        to_status=Mentor.Status.ACTIVE,
        cause=Mentor.PauseCause.CERTIFICATION_EXPIRED,
        now=now,
        run_id=run_id,
        actor=actor,
        business_date=on,
    )


def log_auto_pause_event(mentor_ids: Iterable[int], *, on: date, run_id: UUID | None) -> None:
    """Say in the log whom the rule paused, by id; the record itself is the `StatusChange` of each."""
    ids = sorted(mentor_ids)
    if ids:
        log.info("mentors paused", event_name="auto_pause", mentor_ids=ids, on=str(on), run_id=str(run_id))
