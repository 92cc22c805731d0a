"""Who is reminded of what, and that an optional type does no more (docs/rules.md, rules 6 and 7)."""

from __future__ import annotations

from typing import Any

import pytest

from certifications.models import Certification, CertificationType
from certifications.recording import remove_certification
from certifications.reminders import find_due_reminders
from cronjobs.models import Action, RunItem
from mentors.models import Mentor, Organisation
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.nights import outcomes, run_night
from tests.support.rules import configure, in_days, status


@pytest.mark.parametrize("valid_through_expiry_day", [True, False])
@pytest.mark.parametrize(
    ("days_left", "stage"),
    [(31, None), (30, 30), (29, 30), (15, 30), (14, 14), (8, 14), (7, 7), (1, 7), (0, 7), (-1, None)],
)
def test_a_reminder_has_the_smallest_stage_that_is_reached(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    days_left: int,
    stage: int | None,
    valid_through_expiry_day: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    certify(mentor, expires_in=days_left)
    if days_left == 0 and not valid_through_expiry_day:
        stage = None  # it has expired already

    stages = find_due_reminders(organisation=hlf, on=TODAY).values_list("stage", flat=True)

    assert list(stages) == ([] if stage is None else [stage])


@pytest.mark.parametrize(
    ("reminder_days", "stages"),
    [([], []), ([7], [7]), ([0], []), ([3, 90, 7], [7]), ([5], [5]), ([4], []), ([366], [366])],
)
def test_the_stages_are_those_of_the_organisation(
    hlf: Organisation, mentor: Mentor, certify: Certify, reminder_days: list[int], stages: list[int]
) -> None:
    configure(hlf, reminder_days=reminder_days)
    certify(mentor, expires_in=5)

    due = find_due_reminders(organisation=hlf, on=TODAY).values_list("stage", flat=True)

    assert list(due) == stages


def test_an_organisation_without_reminders_has_its_nights_all_the_same(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    configure(hlf, reminder_days=[])
    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY)

    assert outcomes(run) == [("pause", "M0", "done", "paused")]


@pytest.mark.parametrize(
    ("valid_through_expiry_day", "begins_after_expiry", "superseded"),
    [
        (True, -30, True),
        (True, 0, True),
        (True, 1, True),  # seamless: the first day not covered
        (True, 2, False),  # a gap of one day
        (False, 0, True),
        (False, 1, False),
    ],
)
def test_a_certification_is_superseded_by_one_that_follows_without_a_gap(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    valid_through_expiry_day: bool,
    begins_after_expiry: int,
    superseded: bool,
) -> None:
    configure(hlf, valid_through_expiry_day=valid_through_expiry_day)
    certify(mentor, expires_in=7)
    certify(mentor, issued=7 + begins_after_expiry, expires_in=400)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.exists() is not superseded


@pytest.mark.parametrize(
    ("successor", "superseded"),
    [
        ({"expires_in": 8}, True),
        ({"expires_in": None}, True),
        ({"expires_in": 7, "issued": -1}, False),
        ({"expires_in": 6}, False),
        ({"expires_in": 400, "revoked_at": NOW}, False),
    ],
)
def test_a_certification_is_superseded_only_by_a_valid_one_that_expires_later(
    hlf: Organisation, mentor: Mentor, certify: Certify, successor: dict[str, Any], superseded: bool
) -> None:
    reminded = certify(mentor, expires_in=7)
    certify(mentor, **successor)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.filter(pk=reminded.pk).exists() is not superseded


def test_a_certification_of_another_type_or_mentor_supersedes_nothing(
    hlf: Organisation, secrecy: CertificationType, enrol: Enrol, certify: Certify
) -> None:
    mentor, other = enrol(), enrol()
    reminded = certify(mentor, expires_in=7)
    certify(mentor, type=secrecy)
    certify(other)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert list(due) == [reminded]


@pytest.mark.parametrize(
    ("fields", "is_due"), [({"issued": 0}, True), ({"issued": 1}, False), ({"revoked_at": NOW}, False)]
)
def test_only_a_certification_in_force_is_reminded_of(
    hlf: Organisation, mentor: Mentor, certify: Certify, fields: dict[str, Any], is_due: bool
) -> None:
    certify(mentor, expires_in=7, **fields)

    due = find_due_reminders(organisation=hlf, on=TODAY)

    assert due.exists() is is_due


def test_each_stage_is_reminded_of_once(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=31)

    for day in (0, 1, 2, 16, 17, 18, 23, 24, 25, 31, 32):  # around each stage, and around the expiry
        run_night(hlf, in_days(day), actions=[Action.REMIND])

    reminders = RunItem.objects.order_by("id").values_list("stage", "run__business_date")
    assert list(reminders) == [(30, in_days(1)), (14, in_days(17)), (7, in_days(24))]


def test_one_that_is_removed_and_recorded_again_is_not_reminded_of_again(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certification = certify(mentor, expires_in=7, number="K-1")
    run_night(hlf, TODAY)
    remove_certification(certification)
    certify(mentor, expires_in=7, number="K-1")

    again = run_night(hlf, in_days(1))

    assert (again.items.count(), again.already_handled) == (0, 1)


def test_after_missed_nights_the_one_right_stage_is_made_up(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=20)
    run_night(hlf, TODAY)

    run_night(hlf, in_days(14))

    assert list(RunItem.objects.order_by("id").values_list("stage", flat=True)) == [30, 7]


def test_a_late_entry_gets_the_stage_that_fits(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    run_night(hlf, TODAY)
    certify(mentor, expires_in=9)

    run_night(hlf, TODAY)

    assert RunItem.objects.get().stage == 14


def test_a_changed_expiry_date_is_reminded_of_anew(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certification = certify(mentor, expires_in=7)
    run_night(hlf, TODAY)

    Certification.objects.filter(pk=certification.pk).update(expires_on=in_days(6))
    run_night(hlf, TODAY)

    assert list(RunItem.objects.order_by("id").values_list("expires_on", "stage")) == [
        (in_days(7), 7),
        (in_days(6), 7),
    ]


def test_an_optional_type_reminds_and_never_pauses(
    hlf: Organisation, sign_language: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, type=sign_language, expires_in=7)

    runs = [run_night(hlf, in_days(day)) for day in (0, 8)]

    assert [outcomes(run) for run in runs] == [[("remind", "M0", "done", "reminded")], []]
    assert status(mentor) == ("active", None)
