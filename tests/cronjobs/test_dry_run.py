"""A stored dry run: one closed row that is in nobody's way, its items planned anew whenever they are read."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError

from cronjobs import nightly, record_text
from cronjobs.ledger import show_due_items
from cronjobs.models import Action, CronJob, Run, RunItem
from cronjobs.starting import execute_expiry_check, schedule_nightly_run
from cronjobs.sweep import sweep
from mentors.models import Mentor, Organisation
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.nights import plan_night

pytestmark = pytest.mark.django_db


@pytest.fixture
def lapsed(enrol: Enrol, certify: Certify) -> Mentor:
    mentor = enrol(ref="expired")
    certify(mentor, expires_in=-1)
    return mentor


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return schedule_nightly_run(now=NOW, organisation=hlf)


def look(organisation: Organisation, *, on: date = TODAY, job: CronJob | None = None) -> Run:
    return execute_expiry_check(
        organisation=organisation,
        cron_job=job,
        business_date=on,
        actions=nightly.ALL_ACTIONS,
        dry_run=True,
        requested_by="kari",
        now=NOW,
    )


def test_it_is_one_closed_row_with_what_was_due(hlf: Organisation, job: CronJob, lapsed: Mentor) -> None:
    run = look(hlf, job=job)

    run.refresh_from_db()
    assert (run.status, run.dry_run, run.requested_by, run.cron_job) == ("succeeded", True, "kari", job)
    assert (run.created_at, run.started_at, run.finished_at) == (NOW, NOW, NOW)
    assert run.scheduled_for is None
    assert run.counts["pause"] == {"planned": 1, "done": 0, "skipped": 0, "failed": 0}
    assert set(run.counts) == {"pause", "resume", "remind"}
    assert run.progress == 1


def test_it_changes_nothing_and_tells_nobody(hlf: Organisation, lapsed: Mentor) -> None:
    look(hlf)

    lapsed.refresh_from_db()
    assert lapsed.status == Mentor.Status.ACTIVE
    assert not RunItem.objects.exists()
    assert not Notification.objects.exists()


def test_it_neither_waits_for_an_open_run_nor_stops_one(hlf: Organisation, lapsed: Mentor) -> None:
    open_run = plan_night(hlf, TODAY)

    look(hlf)
    look(hlf)

    assert list(Run.objects.open()) == [open_run]


def test_it_is_no_run_of_the_job(hlf: Organisation, job: CronJob, lapsed: Mentor) -> None:
    run = look(hlf, job=job)

    sweep(now=NOW + timedelta(hours=2))

    assert list(Run.objects.real()) == []
    assert not Notification.objects.exists()
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED


def test_its_items_are_planned_anew_with_their_reason_and_whom_they_are_of(
    hlf: Organisation, lapsed: Mentor, enrol: Enrol, certify: Certify
) -> None:
    run = look(hlf)
    expiring = enrol()
    certify(expiring, expires_in=7)

    pause, remind = show_due_items(
        organisation=hlf, actions=[Action(action) for action in run.actions], on=run.business_date, now=NOW
    )

    assert (pause.mentor_id, pause.chapter_id) == (lapsed.pk, lapsed.chapter_id)
    assert pause.outcome == record_text.WOULD_PAUSE()
    assert (remind.mentor_id, remind.outcome) == (
        expiring.pk,
        record_text.WOULD_REMIND(),
    )


@pytest.mark.parametrize("on", [TODAY - timedelta(days=400), TODAY + timedelta(days=400)])
def test_it_may_be_for_any_day(hlf: Organisation, lapsed: Mentor, on: date) -> None:
    assert look(hlf, on=on).business_date == on


@pytest.mark.parametrize("on", [date.min, date(2, 1, 1), date(9999, 12, 30), date.max])
def test_a_day_at_the_end_of_the_calendar_is_refused(hlf: Organisation, lapsed: Mentor, on: date) -> None:
    with pytest.raises(ValidationError, match="out of range"):
        look(hlf, on=on)

    with pytest.raises(ValidationError, match="out of range"):
        execute_expiry_check(organisation=hlf, business_date=on, now=NOW)

    assert not Run.objects.exists()


@pytest.mark.parametrize("on", [date(1900, 1, 1), date(2999, 12, 31)])
def test_the_rules_can_count_from_every_day_that_is_let_pass(hlf: Organisation, lapsed: Mentor, on: date) -> None:
    Organisation.objects.update(reminder_days=[366])

    assert look(Organisation.objects.get(), on=on).status == Run.Status.SUCCEEDED


def test_a_run_by_hand_belongs_to_its_job_and_takes_none_of_its_slots(hlf: Organisation, job: CronJob) -> None:
    run = execute_expiry_check(organisation=hlf, cron_job=job, now=NOW)

    assert (run.cron_job, run.scheduled_for, run.trigger) == (job, None, "manual")
    assert list(Run.objects.real()) == [run]


def test_the_newest_run_of_each_job_is_found_in_one_query(hlf: Organisation, job: CronJob) -> None:
    other = schedule_nightly_run(now=NOW, organisation=hlf, name="noon", cron_expression="0 12 * * *")
    execute_expiry_check(organisation=hlf, cron_job=job, now=NOW - timedelta(hours=1))
    newest = execute_expiry_check(organisation=hlf, cron_job=job, now=NOW)
    of_the_other = execute_expiry_check(organisation=hlf, cron_job=other, now=NOW)
    look(hlf, job=job)

    assert set(Run.objects.real().newest_of_each_job()) == {newest, of_the_other}
