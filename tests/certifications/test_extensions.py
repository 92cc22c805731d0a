"""Extending many certifications with a reason, and undoing it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certifications.extensions import (
    AlreadyUndone,
    LeftOut,
    NothingToExtend,
    SeveralOrganisations,
    Until,
    extend_certifications,
    plan_extension,
    undo_extension,
)
from certifications.models import Certification, CertificationType, ExtendedCertification, Extension
from certifications.recording import change_certification, revoke_certification
from mentors.models import Chapter, Mentor, StatusChange, User
from tests.conftest import Certify, Enrol
from tests.support.rules import in_days

pytestmark = pytest.mark.django_db
EXPIRED = {"status": "paused", "pause_cause": "certification_expired"}
WHY = "Kurset ble avlyst."


def expiries(*certifications: Certification) -> list[date | None]:
    return [Certification.objects.get(pk=one.pk).expires_on for one in certifications]


def test_each_is_extended_and_what_it_was_is_kept(
    enrol: Enrol, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    early, late = certify(enrol(), expires_in=10), certify(enrol(), expires_in=20)

    extension, _plan = extend_certifications([early.pk, late.pk], until=Until(days=30), reason=WHY, by=olav, now=now)

    assert expiries(early, late) == [today + timedelta(days=40), today + timedelta(days=50)]
    kept = extension.certifications.order_by("certification").values_list("certification", "from_on", "to_on")
    assert list(kept) == [
        (early.pk, early.expires_on, today + timedelta(days=40)),
        (late.pk, late.expires_on, today + timedelta(days=50)),
    ]
    assert (extension.reason, extension.by, extension.at) == (WHY, olav, now)


def test_a_month_stays_in_the_month(certify: Certify, mentor: Mentor, now: datetime) -> None:
    one = certify(mentor, issued=-100, expires_on=date(2027, 1, 31))

    [step] = plan_extension([one.pk], until=Until(months=1), now=now).steps

    assert step.to_on == date(2027, 2, 28)


def test_a_mentor_whom_it_covers_again_is_resumed(
    enrol: Enrol, certify: Certify, secrecy: CertificationType, olav: User, now: datetime
) -> None:
    covered, lapsed_elsewhere, not_long_enough = (enrol(**EXPIRED) for _ in range(3))
    ids = [certify(mentor, expires_in=-5).pk for mentor in (covered, lapsed_elsewhere)]
    ids.append(certify(not_long_enough, expires_in=-50).pk)
    certify(lapsed_elsewhere, type=secrecy, expires_in=-5)

    preview = plan_extension(ids, until=Until(days=30), now=now)
    unwritten = StatusChange.objects.count()
    _extension, done = extend_certifications(ids, until=Until(days=30), reason=WHY, by=olav, now=now)

    assert unwritten == 0
    assert preview.resumed == done.resumed == {covered.pk}
    assert StatusChange.objects.get().actor == olav


def test_what_cannot_be_extended_is_left_out_with_its_reason(
    enrol: Enrol, certify: Certify, olav: User, today: date, now: datetime
) -> None:
    revoked = certify(enrol(name="A"), revoked_at=now)
    open_ended = certify(enrol(name="B"), expires_in=None)
    later = certify(enrol(name="C"), expires_in=400)
    extended = certify(enrol(name="D"), expires_in=4)
    ids = [revoked.pk, open_ended.pk, later.pk, extended.pk]
    until = Until(on=today + timedelta(days=30))

    plan = plan_extension(ids, until=until, now=now)
    extend_certifications(ids, until=until, reason=WHY, by=olav, now=now)

    assert [step.left_out for step in plan.steps] == [LeftOut.REVOKED, LeftOut.OPEN_ENDED, LeftOut.NOT_LATER, None]
    assert [row.certification for row in ExtendedCertification.objects.all()] == [extended]
    assert expiries(revoked, open_ended, later) == [revoked.expires_on, None, later.expires_on]


def test_a_day_that_no_calendar_has_is_left_out(certify: Certify, mentor: Mentor, now: datetime) -> None:
    ids = [certify(mentor).pk]

    steps = [plan_extension(ids, until=Until(months=months), now=now).steps[0] for months in (12 * 200, 12 * 9000)]

    assert [step.left_out for step in steps] == [LeftOut.TOO_FAR, LeftOut.TOO_FAR]


def test_nothing_is_written_if_nothing_can_be_extended(
    certify: Certify, mentor: Mentor, olav: User, now: datetime
) -> None:
    ids = [certify(mentor, expires_in=None).pk]

    with pytest.raises(NothingToExtend):
        extend_certifications(ids, until=Until(days=1), reason=WHY, by=olav, now=now)

    assert not Extension.objects.exists()


def test_to_extend_none_is_refused(olav: User, now: datetime) -> None:
    with pytest.raises(NothingToExtend):
        extend_certifications([], until=Until(days=30), reason=WHY, by=olav, now=now)


def test_several_organisations_are_refused(
    certify: Certify, mentor: Mentor, elsewhere: Chapter, olav: User, now: datetime
) -> None:
    foreign = Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="F", name="F")
    type = CertificationType.objects.create(organisation=elsewhere.organisation, code="kurs", name="Kurs")
    ids = [certify(mentor).pk, certify(foreign, type=type).pk]

    with pytest.raises(SeveralOrganisations):
        plan_extension(ids, until=Until(days=1), now=now)
    with pytest.raises(SeveralOrganisations):
        extend_certifications(ids, until=Until(days=1), reason=WHY, by=olav, now=now)


class TestUndo:
    def test_it_gives_back_the_expiry_that_each_had(
        self, enrol: Enrol, certify: Certify, olav: User, now: datetime
    ) -> None:
        one, other = certify(enrol(), expires_in=10), certify(enrol(), expires_in=20)
        extension, _plan = extend_certifications([one.pk, other.pk], until=Until(days=9), reason=WHY, by=olav, now=now)

        count, left = undo_extension(extension, reason="Held after all", by=olav, now=now)

        assert (count, left) == (2, [])
        assert expiries(one, other) == [one.expires_on, other.expires_on]
        assert (extension.undone_by, extension.undone_at, extension.undone_reason) == (olav, now, "Held after all")
        assert extension.certifications.filter(undone=True).count() == 2

    def test_what_has_changed_since_is_left_alone_and_named(
        self, enrol: Enrol, certify: Certify, olav: User, today: date, now: datetime
    ) -> None:
        changed, revoked, same = (certify(enrol(), expires_in=10) for _ in range(3))
        ids = [changed.pk, revoked.pk, same.pk]
        extension, _plan = extend_certifications(ids, until=Until(days=9), reason=WHY, by=olav, now=now)
        longer = today + timedelta(days=99)
        change_certification(Certification.objects.get(pk=changed.pk), expires_on=longer, now=now, actor=olav)
        revoke_certification(Certification.objects.get(pk=revoked.pk), reason="x", actor=olav, now=now)

        count, left = undo_extension(extension, reason="x", by=olav, now=now)

        assert (count, [row.certification_id for row in left]) == (1, [changed.pk, revoked.pk])
        assert expiries(changed, revoked, same) == [longer, today + timedelta(days=19), same.expires_on]

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_several_give_back_the_first_expiry_in_whatever_order_they_are_undone(
        self, mentor: Mentor, certify: Certify, olav: User, now: datetime, order: tuple[int, ...]
    ) -> None:
        certification = certify(mentor, expires_in=10)
        extensions = [
            extend_certifications([certification.pk], until=Until(days=30), reason="x", by=olav, now=now)[0]
            for _ in range(3)
        ]

        for number in order:
            undo_extension(extensions[number], reason="x", by=olav, now=now)

        certification.refresh_from_db()
        assert certification.expires_on == in_days(10)

    def test_nobody_is_paused_at_once(self, enrol: Enrol, certify: Certify, olav: User, now: datetime) -> None:
        mentor = enrol(**EXPIRED)
        one = certify(mentor, expires_in=-5)
        extension, _plan = extend_certifications([one.pk], until=Until(days=30), reason=WHY, by=olav, now=now)

        undo_extension(extension, reason="x", by=olav, now=now)

        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE
        assert mentor.lapses_on == one.expires_on + timedelta(days=1)  # type: ignore[operator]

    def test_it_is_done_once(self, mentor: Mentor, certify: Certify, olav: User, now: datetime) -> None:
        ids = [certify(mentor, expires_in=10).pk]
        extension, _plan = extend_certifications(ids, until=Until(days=9), reason=WHY, by=olav, now=now)
        undo_extension(extension, reason="x", by=olav, now=now)

        with pytest.raises(AlreadyUndone):
            undo_extension(extension, reason="x", by=olav, now=now)


def test_it_asks_the_database_as_often_for_many_as_for_few(
    enrol: Enrol, certify: Certify, olav: User, now: datetime
) -> None:
    def extend(count: int) -> tuple[int, ...]:
        ids = [certify(enrol(**EXPIRED), expires_in=-5).pk for _ in range(count)]
        with CaptureQueriesContext(connection) as planned:
            plan_extension(ids, until=Until(days=30), now=now)
        with CaptureQueriesContext(connection) as asked:
            extension, plan = extend_certifications(ids, until=Until(days=30), reason=WHY, by=olav, now=now)
        Certification.objects.filter(pk__in=ids[::2]).update(expires_on=in_days(99))
        with CaptureQueriesContext(connection) as undone:
            _count, left = undo_extension(extension, reason="x", by=olav, now=now)
            named = [(row.certification.mentor.name, row.certification.type.name) for row in left]
        assert (len(plan.resumed), len(named)) == (count, len(ids[::2]))
        return len(planned), len(asked), len(undone)

    extend(1)  # which fills what a process remembers

    assert extend(10) == extend(40)
