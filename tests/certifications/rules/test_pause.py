"""Whom the night pauses (docs/rules.md, rule 4)."""

from __future__ import annotations

import pytest

from certifications.models import Certification, CertificationType
from certifications.record_text import LAPSED
from cronjobs.models import RunItem
from mentors.models import Mentor, Organisation, StatusChange
from mentors.record_text import verbatim
from mentors.status import change_status
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import outcomes, run_night
from tests.support.rules import PAUSED_AS_EXPIRED, configure, in_days, pause, status


def end(mentor: Mentor) -> None:
    change_status(
        {mentor.pk: verbatim("moved away")},
        from_status=Mentor.Status.ACTIVE,
        to_status=Mentor.Status.ENDED,
        cause=None,
        now=NOW,
    )


def test_the_night_pauses_an_active_mentor_with_a_lapsed_type_and_logs_it(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    change = StatusChange.objects.get(mentor=mentor)
    assert status(mentor) == PAUSED_AS_EXPIRED
    assert mentor.pause_reason == LAPSED(types=["likepersonkurs"])
    assert (change.from_status, change.to_status, change.cause) == ("active", *PAUSED_AS_EXPIRED)
    assert (change.run_id, change.actor, change.reason) == (run.pk, None, LAPSED(types=["likepersonkurs"]))


def test_one_pause_names_all_lapsed_types(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=secrecy, expires_in=-3)
    certify(mentor, expires_in=-1)
    certify(mentor, expires_in=-30)

    run_night(hlf, TODAY)

    item = RunItem.objects.get()
    assert (item.action, item.type) == ("pause", "likepersonkurs,taushetserklaering")


def test_a_mentor_is_paused_on_the_first_day_not_covered_and_not_before(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=0)

    run_night(hlf, TODAY)
    on_the_expiry_day = status(mentor)
    run_night(hlf, in_days(1))

    assert on_the_expiry_day == ("active", None)
    assert status(mentor) == PAUSED_AS_EXPIRED


def test_a_gap_before_a_coming_certification_pauses(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, issued=1)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED


def test_a_missing_type_does_not_pause(
    hlf: Organisation, course: CertificationType, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor)

    run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)


def test_an_organisation_that_does_not_want_it_pauses_nobody(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    configure(hlf, auto_pause=False)
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("active", None)
    assert outcomes(run) == []


@pytest.mark.parametrize("cause", ["manual", "certification_revoked"])
def test_a_mentor_paused_for_another_reason_is_left_alone(
    hlf: Organisation, mentor: Mentor, certify: Certify, cause: str
) -> None:
    pause(mentor, Mentor.PauseCause(cause))
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("paused", cause)
    assert outcomes(run) == []
    assert StatusChange.objects.count() == 1
    assert not Notification.objects.exists()


def test_an_ended_mentor_is_left_alone(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    end(mentor)
    certify(mentor, expires_in=-1)
    certify(mentor, expires_in=7, number="soon", issued=-3)

    run = run_night(hlf, TODAY)

    assert status(mentor) == ("ended", None)
    assert outcomes(run) == []
    assert not Notification.objects.exists()


def test_an_active_period_has_one_pause_and_the_next_period_has_its_own(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    short = certify(mentor, expires_in=-1)

    for day, expires_in in ((0, -1), (1, 3), (2, 3), (4, 3), (5, 3)):
        Certification.objects.filter(pk=short.pk).update(expires_on=in_days(expires_in))
        run_night(hlf, in_days(day))

    done = RunItem.objects.order_by("id").values_list("action", "run__business_date")
    assert [item for item in done if item[0] != "remind"] == [
        ("pause", in_days(0)),
        ("resume", in_days(1)),
        ("pause", in_days(4)),
    ]


def test_the_night_of_one_organisation_leaves_the_others_alone(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    certify(mentor, expires_in=-1)

    run_night(other, TODAY)

    assert status(mentor) == ("active", None)
