"""Whom the night resumes (docs/rules.md, rule 5). At the moment of a renewal: test_recording.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from certifications.models import Certification, CertificationType
from certifications.recording import change_certification, record_certification, remove_certification
from certifications.resume_preview import find_would_be_resumed
from cronjobs.ledger import show_due_items
from cronjobs.models import Action, Run
from cronjobs.undo import undo_pauses
from mentors.models import Mentor, Organisation, StatusChange, User
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import outcomes, run_night
from tests.support.rules import PAUSED_AS_EXPIRED, configure, exempt, in_days, pause, paused_by_the_night, status


def test_the_night_resumes_a_mentor_whom_it_paused_and_who_has_renewed(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)

    run = run_night(hlf, TODAY)

    change = StatusChange.objects.latest("id")
    assert status(mentor) == ("active", None)
    assert not mentor.pause_reason
    assert outcomes(run) == [("resume", "M0", "done", "resumed")]
    assert (change.from_status, change.to_status, change.run_id) == ("paused", "active", run.pk)


def test_a_renewal_resumes_on_the_day_it_begins(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=1)

    run_night(hlf, TODAY)
    the_day_before = status(mentor)
    run_night(hlf, in_days(1))

    assert the_day_before == PAUSED_AS_EXPIRED
    assert status(mentor) == ("active", None)


def test_a_mentor_is_not_resumed_while_one_lapsed_type_is_left(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=secrecy, expires_in=-2)
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


@pytest.mark.parametrize("cause", ["manual", "certification_revoked"])
def test_only_a_person_resumes_who_was_paused_for_another_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, cause: str
) -> None:
    certify(mentor)
    pause(mentor, Mentor.PauseCause(cause))

    run_night(hlf, TODAY)

    assert status(mentor) == ("paused", cause)


def test_an_organisation_that_does_not_want_it_resumes_nobody(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)
    configure(hlf, auto_resume=False)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


@pytest.mark.parametrize("remedy", ["exemption", "no longer required", "grace"])
def test_a_mentor_is_resumed_whatever_it_is_that_covers_what_the_pause_was_for(
    hlf: Organisation, course: CertificationType, mentor: Mentor, certify: Certify, olav: User, remedy: str
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    match remedy:
        case "exemption":
            exempt(mentor, course, olav)
        case "no longer required":
            CertificationType.objects.update(required=False)
        case _:
            CertificationType.objects.update(grace_days=2)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


def remove(certification: Certification) -> None:
    remove_certification(certification)


def revoke(certification: Certification) -> None:
    Certification.objects.filter(pk=certification.pk).update(revoked_at=NOW)


def move_into_the_future(certification: Certification) -> None:
    change_certification(certification, issued_on=in_days(30), expires_on=in_days(400), now=NOW)


NO_RENEWALS = pytest.mark.parametrize("change", [remove, revoke, move_into_the_future])


@NO_RENEWALS
def test_a_certification_that_is_gone_is_no_renewal(
    hlf: Organisation, mentor: Mentor, certify: Certify, change: Callable[[Certification], None]
) -> None:
    change(paused_by_the_night(hlf, mentor, certify))
    at_once = status(mentor)
    preview = find_would_be_resumed([mentor], covered={}, now=NOW)
    shown = show_due_items(organisation=hlf, actions=[Action.RESUME], on=TODAY, now=NOW)

    run_night(hlf, TODAY)

    assert at_once == status(mentor) == PAUSED_AS_EXPIRED
    assert not preview
    assert not shown


@NO_RENEWALS
def test_what_the_pause_was_for_resumes_once_it_is_covered_again(
    hlf: Organisation,
    course: CertificationType,
    mentor: Mentor,
    certify: Certify,
    change: Callable[[Certification], None],
) -> None:
    change(paused_by_the_night(hlf, mentor, certify))
    mentor.refresh_from_db()
    preview = find_would_be_resumed([mentor], covered={mentor.pk: {course.code}}, now=NOW)

    record_certification(mentor=mentor, type=course, number="new", issued_on=TODAY, now=NOW)

    assert status(mentor) == ("active", None)
    assert preview == {mentor.pk}


def test_a_certification_moved_into_the_future_resumes_on_the_day_it_begins(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    move_into_the_future(paused_by_the_night(hlf, mentor, certify))

    run_night(hlf, in_days(30))

    assert status(mentor) == ("active", None)


def test_every_type_that_the_pause_was_for_is_asked_for(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    second = certify(mentor, type=secrecy, expires_in=-2)
    paused_by_the_night(hlf, mentor, certify)
    remove(second)
    certify(mentor, issued=0)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


def test_a_type_that_was_never_held_does_not_stand_against_it(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


def test_a_pause_keeps_what_it_is_for_and_the_day_of_its_run(
    hlf: Organisation, course: CertificationType, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=secrecy, expires_in=-2)
    paused_by_the_night(hlf, mentor, certify)

    pause = StatusChange.objects.get()
    assert (pause.paused_for, pause.business_date) == ([course.pk, secrecy.pk], in_days(-1))


def test_a_zone_further_west_does_not_bring_an_earlier_day_back(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    """She lapsed on the 21st, which it is in Oslo already, and in Honolulu is still the 20th."""
    after_midnight = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    expired = certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, now=after_midnight)
    configure(hlf, timezone="Pacific/Honolulu")

    change_certification(expired, number="17", now=after_midnight)
    run_night(hlf, in_days(-1), now=after_midnight)
    run_night(hlf, TODAY, now=after_midnight + timedelta(days=1))

    assert list(StatusChange.objects.values_list("to_status", flat=True)) == ["paused"]


def test_a_zone_further_west_does_not_pause_who_renewed_on_the_day_that_was(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    after_midnight = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)
    run_night(hlf, TODAY, now=after_midnight)
    configure(hlf, timezone="Pacific/Honolulu")

    run_night(hlf, in_days(-1), now=after_midnight)

    assert status(mentor) == ("active", None)


def paused_by_a_clock_ahead(organisation: Organisation) -> Run:
    return run_night(organisation, in_days(60))


@pytest.mark.parametrize("at_once", [True, False])
def test_whom_a_clock_ahead_has_paused_is_resumed(
    hlf: Organisation, mentor: Mentor, certify: Certify, at_once: bool
) -> None:
    certification = certify(mentor, expires_in=20)
    paused_by_a_clock_ahead(hlf)
    paused = status(mentor)

    if at_once:
        change_certification(certification, expires_on=in_days(400), now=NOW)
    else:
        run_night(hlf, TODAY)

    assert (paused, status(mentor)) == (PAUSED_AS_EXPIRED, ("active", None))


def test_whom_a_clock_ahead_has_paused_is_paused_again_when_it_lapses_in_truth(
    hlf: Organisation, mentor: Mentor, certify: Certify, olav: User
) -> None:
    certify(mentor, expires_in=2)
    run = paused_by_a_clock_ahead(hlf)
    undo_pauses(run.pk, reason="The clock was ahead", actor=olav, now=NOW)

    run_night(hlf, in_days(2))
    still_covered = status(mentor)
    run_night(hlf, in_days(3))

    assert (still_covered, status(mentor)) == (("active", None), PAUSED_AS_EXPIRED)


def test_a_persons_change_ends_what_a_later_day_has_decided(
    hlf: Organisation, mentor: Mentor, certify: Certify, olav: User
) -> None:
    """The run of tomorrow, which somebody began today, is undone: today's comes for her again."""
    certify(mentor, expires_in=-1)
    run = run_night(hlf, in_days(1), now=NOW)
    undo_pauses(run.pk, reason="Too early", actor=olav, now=NOW)

    run_night(hlf, TODAY, now=NOW)

    assert status(mentor) == PAUSED_AS_EXPIRED


def test_the_day_after_an_exemption_ends_the_mentor_is_paused_again(
    hlf: Organisation, course: CertificationType, mentor: Mentor, certify: Certify, olav: User
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    exempt(mentor, course, olav, ends=1)

    statuses = []
    for day in range(3):
        run_night(hlf, in_days(day))
        statuses.append(status(mentor)[0])

    assert statuses == ["active", "active", "paused"]
