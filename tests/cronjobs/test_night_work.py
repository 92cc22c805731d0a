"""The work of a night: every outcome, in batches, by several workers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from certifications.models import Certification, CertificationType, Exemption
from certifications.record_text import LAPSED
from cronjobs import nightly
from cronjobs.models import Run
from cronjobs.work import Batch, work_batch
from mentors.models import Mentor, Organisation, StatusChange, User
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.cronjobs.conftest import Expired, change_by_hand
from tests.support.at_once import run_at_once
from tests.support.nights import noon, outcomes, plan_night, run_night, work_night

TOMORROW = TODAY + timedelta(days=1)


def test_each_thing_done_is_marked_with_what_was_done(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(ref="A"), expires_in=-1)
    resumed = enrol(ref="B")
    certify(resumed)
    change_by_hand(resumed, "active", "paused", "certification_expired")
    certify(enrol(ref="C"), expires_in=7)

    run = run_night(hlf, TODAY)

    assert outcomes(run) == [
        ("pause", "A", "done", "paused"),
        ("resume", "B", "done", "resumed"),
        ("remind", "C", "done", "reminded"),
    ]
    assert StatusChange.objects.filter(run_id=run.pk).count() == 2


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("renew", "renewed"),
        ("exempt", "renewed"),
        ("pause", "paused_already"),
        ("end", "ended_already"),
        ("switch off", "no_pausing"),
    ],
)
def test_a_pause_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation,
    course: CertificationType,
    olav: User,
    mentor: Mentor,
    certify: Certify,
    in_between: str,
    outcome: str,
) -> None:
    def interfere() -> None:
        match in_between:
            case "renew":
                certify(mentor, issued=0)
            case "exempt":
                Exemption.objects.create(
                    mentor=mentor, type=course, from_on=TODAY, until_on=TODAY, reason="x", approved_by=olav
                )
            case "pause":
                change_by_hand(mentor, "active", "paused", "manual")
            case "end":
                change_by_hand(mentor, "active", "ended")
            case _:
                Organisation.objects.update(auto_pause=False)

    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("pause", "M0", "skipped", outcome)]
    assert not StatusChange.objects.filter(run_id=run.pk).exists()
    assert not Notification.objects.exists()
    assert run.status == Run.Status.SUCCEEDED


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("revoke", "lapsed_again"),
        ("activate", "is_active"),
        ("end", "is_ended"),
        ("pause for another reason", "paused_by_hand"),
        ("switch off", "no_resuming"),
    ],
)
def test_a_resume_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, in_between: str, outcome: str
) -> None:
    def interfere() -> None:
        match in_between:
            case "revoke":
                Certification.objects.filter(pk=renewal.pk).update(revoked_at=NOW)
            case "activate":
                change_by_hand(mentor, "paused", "active", "certification_expired")
            case "end":
                change_by_hand(mentor, "paused", "ended", "certification_expired")
            case "pause for another reason":
                change_by_hand(mentor, "paused", "active", "certification_expired")
                change_by_hand(mentor, "active", "paused", "manual")
            case _:
                Organisation.objects.update(auto_resume=False)

    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY)
    renewal = certify(mentor, issued=0)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("resume", "M0", "skipped", outcome)]
    assert not StatusChange.objects.filter(run_id=run.pk).exists()


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("renew", "changed"),
        ("prolong", "changed"),
        ("revoke", "changed"),
        ("delete", "changed"),
        ("end", "is_ended"),
    ],
)
def test_a_reminder_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, in_between: str, outcome: str
) -> None:
    def interfere() -> None:
        this = Certification.objects.filter(pk=certification.pk)
        match in_between:
            case "renew":
                certify(mentor, issued=0)
            case "prolong":
                this.update(expires_on=TODAY + timedelta(days=6))
            case "revoke":
                this.update(revoked_at=NOW)
            case "delete":
                this.delete()
            case _:
                change_by_hand(mentor, "active", "ended")

    certification = certify(mentor, expires_in=7)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("remind", "M0", "skipped", outcome)]
    assert not Notification.objects.exists()


@pytest.mark.parametrize("hours_late", [21, 33], ids=["approved next morning", "taken up 33 hours later"])
def test_late_work_pauses_nobody_who_is_certified_today(
    hlf: Organisation, mentor: Mentor, certify: Certify, hours_late: int
) -> None:
    certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)
    certify(mentor, issued=1)

    work_night(run, now=noon(TODAY) + timedelta(hours=hours_late))

    assert outcomes(run) == [("pause", "M0", "skipped", 'not_lapsed_today {"today":"2026-11-22"}')]
    assert not StatusChange.objects.exists()
    assert not Notification.objects.exists()


def test_late_work_pauses_for_the_types_that_have_lapsed_on_both_days(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, type=secrecy, expires_in=-1)
    run = plan_night(hlf, TODAY)
    certify(mentor, issued=1)

    work_night(run, now=noon(TOMORROW))

    mentor.refresh_from_db()
    assert run.items.get().type == "taushetserklaering"
    assert mentor.pause_reason == LAPSED(types=["taushetserklaering"])


def test_late_work_pauses_nobody_for_one_type_yesterday_and_another_today(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, type=secrecy, expires_in=0)
    run = plan_night(hlf, TODAY)
    certify(mentor, issued=1)

    work_night(run, now=noon(TOMORROW))

    assert outcomes(run)[:1] == [("pause", "M0", "skipped", 'not_lapsed_today {"today":"2026-11-22"}')]


def test_late_work_resumes_nobody_who_has_lapsed_again_by_today(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY)
    certify(mentor, issued=0, expires_in=0)
    run = plan_night(hlf, TODAY)

    work_night(run, now=noon(TOMORROW))

    mentor.refresh_from_db()
    assert outcomes(run)[1:] == [("resume", "M0", "skipped", 'lapsed_today {"today":"2026-11-22"}')]
    assert mentor.status == Mentor.Status.PAUSED


def test_late_work_reminds_nobody_of_what_has_expired_by_today(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=0)
    run = plan_night(hlf, TODAY)

    work_night(run, now=noon(TOMORROW))

    assert outcomes(run) == [("remind", "M0", "skipped", 'expired_by_today {"today":"2026-11-22"}')]
    assert not Notification.objects.exists()


def test_late_work_gives_no_reminder_of_which_a_later_one_is_due_by_now(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=7)
    run_night(hlf, TODAY)

    past = run_night(hlf, TODAY - timedelta(days=5), now=noon(TODAY))

    assert outcomes(past) == [("remind", "M0", "skipped", "changed")]
    assert Notification.objects.filter(recipient_mentor=mentor).count() == 1


def test_late_work_still_does_what_is_true_on_both_days(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(ref="A"), expires_in=-1)
    resumed = enrol(ref="B")
    certify(resumed)
    change_by_hand(resumed, "active", "paused", "certification_expired")
    certify(enrol(ref="C"), expires_in=7)
    run = plan_night(hlf, TODAY)

    work_night(run, now=noon(TOMORROW))

    assert [status for _action, _ref, status, _outcome in outcomes(run)] == ["done"] * 3


def test_a_run_of_a_past_day_pauses_nobody_who_is_certified_today(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-5)
    certify(mentor, issued=-1)

    run = run_night(hlf, TODAY - timedelta(days=3), now=NOW)

    assert outcomes(run) == [("pause", "M0", "skipped", 'not_lapsed_today {"today":"2026-11-21"}')]


def test_a_worker_whose_clock_is_a_little_behind_at_midnight_acts_by_the_day_that_has_begun(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    midnight = datetime(2026, 11, 20, 23, tzinfo=UTC)  # in Oslo
    run = plan_night(hlf, TODAY, now=midnight)

    work_night(run, now=midnight - timedelta(milliseconds=100))

    assert outcomes(run) == [("pause", "M0", "done", "paused")]


@pytest.mark.parametrize("day", [TODAY, TOMORROW])
def test_a_batch_asks_as_much_of_one_mentor_as_of_ten(hlf: Organisation, expired: Expired, day: date) -> None:
    asked = []
    for count in (1, 10):
        mentors = expired(count)
        run = plan_night(hlf, TODAY)
        with CaptureQueriesContext(connection) as queries:
            work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk for mentor in mentors]), now=noon(day))
        asked.append(len(queries))
        nightly.close_run(run.pk, now=noon(day))

    assert asked[0] == asked[1]


def test_what_was_skipped_is_done_by_a_later_run_if_it_is_due_then(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, in_between=lambda: Organisation.objects.update(auto_pause=False))
    Organisation.objects.update(auto_pause=True)

    run = run_night(hlf, TOMORROW)

    assert outcomes(run) == [("pause", "M0", "done", "paused")]


def test_the_evidence_outlives_the_certification(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certification = certify(mentor, expires_in=7, number="C7")
    run = run_night(hlf, TODAY)

    certification.delete()

    item = run.items.get()
    assert (item.status, item.type, item.number, item.stage) == ("done", "likepersonkurs", "C7", 7)
    assert item.expires_on == TODAY + timedelta(days=7)


def test_working_a_batch_again_does_nothing_twice(hlf: Organisation, expired: Expired) -> None:
    [mentor] = expired(1)
    run = plan_night(hlf, TODAY)

    for _ in range(2):
        work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk]), now=noon(TODAY))

    assert StatusChange.objects.count() == 1
    assert Notification.objects.filter(recipient_mentor=mentor).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_batch_do_it_once(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(5)
    run = plan_night(hlf, TODAY)
    batch = Batch(mentor_ids=[mentor.pk for mentor in mentors])

    results = run_at_once(*[lambda: work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))] * 3)

    assert results == [[]] * 3
    assert StatusChange.objects.count() == 5
    assert set(run.items.values_list("status", flat=True)) == {"done"}


def test_a_small_night_has_a_subtask_for_each_mentor(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(3)
    run = plan_night(hlf, TODAY)

    batches = list(nightly.batches(run, now=noon(TODAY)))

    assert [batch.mentor_ids for batch in batches] == [[mentor.pk] for mentor in mentors]


@pytest.mark.parametrize(("due", "sizes"), [(4, [1, 1, 1, 1]), (5, [2, 2, 1]), (8, [2, 2, 2, 2]), (9, [3, 3, 3])])
def test_a_big_night_coalesces_mentors_into_batches(
    hlf: Organisation, expired: Expired, settings: Settings, due: int, sizes: list[int]
) -> None:
    settings.NIGHTLY_MAX_SUBTASKS = 4
    mentors = expired(due)
    run = plan_night(hlf, TODAY)

    batches = list(nightly.batches(run, now=noon(TODAY)))

    assert [len(batch.mentor_ids) for batch in batches] == sizes
    assert [pk for batch in batches for pk in batch.mentor_ids] == [mentor.pk for mentor in mentors]


def test_a_mentor_with_several_items_is_in_one_batch(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=7)
    certify(mentor, type=secrecy, expires_in=7)
    run = plan_night(hlf, TODAY)

    assert [batch.mentor_ids for batch in nightly.batches(run, now=noon(TODAY))] == [[mentor.pk]]
