"""Whom the night resumes (docs/rules.md, rule 5). At the moment of a renewal: test_recording.py."""

from __future__ import annotations

import pytest

from certifications.models import Certification, CertificationType
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


@pytest.mark.parametrize("remedy", ["exemption", "no longer required", "revoked", "deleted", "grace"])
def test_a_mentor_is_resumed_whatever_it_is_that_leaves_no_lapsed_type(
    hlf: Organisation, course: CertificationType, mentor: Mentor, certify: Certify, olav: User, remedy: str
) -> None:
    expired = paused_by_the_night(hlf, mentor, certify)
    match remedy:
        case "exemption":
            exempt(mentor, course, olav)
        case "no longer required":
            CertificationType.objects.update(required=False)
        case "revoked":
            Certification.objects.update(revoked_at=NOW)
        case "deleted":
            expired.delete()
        case _:
            CertificationType.objects.update(grace_days=2)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


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
