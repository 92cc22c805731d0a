"""The sweep: whatever was lost on the way is taken up again from the database.

The queue is the real Redis of this test process: what is sent is received from it, and done by the tasks themselves.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from cronjobs import nightly
from cronjobs.heartbeats import record_heartbeat
from cronjobs.models import Component, CronJob, Run, RunItem
from cronjobs.schedules.jobs import change_cron_job
from cronjobs.starting import execute_slot, schedule_nightly_run
from cronjobs.sweep import sweep
from cronjobs.work import Batch, work_batch
from mentors.models import Mentor, Organisation
from notifications.models import Notification
from tests.conftest import TODAY, Certify, Enrol
from tests.cronjobs.conftest import SLOT, Expired
from tests.support.at_once import run_at_once
from tests.support.nights import plan_night, run_night
from tests.support.queues import do, made_of_slots, received

pytestmark = pytest.mark.usefixtures("empty_queues")

ONE_DAY = timedelta(days=1)
MINUTES = timedelta(minutes=1)


@pytest.fixture
def lapsed(expired: Expired) -> list[Mentor]:
    """Three mentors whose certification expired yesterday."""
    return expired(3)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    """HLF's job at 00:30, made two days before SLOT, its nights in order until the night before SLOT."""
    job = schedule_nightly_run(now=SLOT, organisation=hlf)
    created(job, SLOT - 2 * ONE_DAY)
    execute_slot(job, slot=SLOT - ONE_DAY, now=SLOT - ONE_DAY)
    return job


def created(job: CronJob, at: datetime) -> None:
    CronJob.objects.filter(pk=job.pk).update(slots_from=at)
    job.refresh_from_db()


def claimed(organisation: Organisation, at: datetime) -> Run:
    return nightly.claim_run(organisation=organisation, business_date=TODAY, trigger=Run.Trigger.MANUAL, now=at)


IN_ORDER = (SLOT - ONE_DAY, "schedule", "succeeded")


def test_a_sweep_with_nothing_to_do_changes_nothing(hlf: Organisation, job: CronJob, lapsed: list[Mentor]) -> None:
    before = made_of_slots()

    sweep(now=SLOT - MINUTES)

    assert made_of_slots() == before
    assert received("night") == received("delivery") == []


# 1. A run that was claimed but not planned.


def test_a_run_whose_worker_died_before_the_plan_is_planned_and_sent_out(
    hlf: Organisation, lapsed: list[Mentor], now: datetime
) -> None:
    run = claimed(hlf, now - 6 * MINUTES)

    sweep(now=now)
    do(received("night"))

    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED
    assert Mentor.objects.filter(status="paused").count() == 3


def test_a_run_that_was_claimed_just_now_is_left_to_its_worker(
    hlf: Organisation, lapsed: list[Mentor], now: datetime
) -> None:
    run = claimed(hlf, now - 4 * MINUTES)

    sweep(now=now)

    run.refresh_from_db()
    assert run.status == Run.Status.PLANNED
    assert received("night") == []


# 2. A run at work whose ledger has not moved.


def test_a_run_that_does_not_move_is_sent_out_again_carefully(
    hlf: Organisation, lapsed: list[Mentor], now: datetime
) -> None:
    run = plan_night(hlf, TODAY, now=now - 6 * MINUTES)

    sweep(now=now)

    sent = received("night")
    assert sent == [("cronjobs.work_items", [str(run.pk), [mentor.pk], True]) for mentor in lapsed]
    do(sent)
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED


def test_only_what_is_pending_is_sent_out_again(hlf: Organisation, lapsed: list[Mentor], now: datetime) -> None:
    planned_at = now - 6 * MINUTES
    run = plan_night(hlf, TODAY, now=planned_at)
    work_batch(run_id=run.pk, batch=Batch(mentor_ids=[lapsed[0].pk]), now=planned_at)

    sweep(now=now)

    assert [arguments[1] for _name, arguments in received("night")] == [[lapsed[1].pk], [lapsed[2].pk]]


def test_a_run_that_moves_is_left_alone(hlf: Organisation, lapsed: list[Mentor], now: datetime) -> None:
    run = plan_night(hlf, TODAY, now=now - 6 * MINUTES)
    work_batch(run_id=run.pk, batch=Batch(mentor_ids=[lapsed[0].pk]), now=now - 4 * MINUTES)

    sweep(now=now)

    assert received("night") == []


def test_a_run_that_waits_for_a_retry_is_left_alone(hlf: Organisation, lapsed: list[Mentor], now: datetime) -> None:
    run = plan_night(hlf, TODAY, now=now - 20 * MINUTES)
    run.items.filter(mentor=lapsed[0]).update(at=now + MINUTES, attempts=1)

    sweep(now=now)

    assert received("night") == []


def test_a_held_run_has_its_reminders_sent_out_again_and_not_its_pauses(
    hlf: Organisation, lapsed: list[Mentor], enrol: Enrol, certify: Certify, now: datetime
) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    reminded = enrol()
    certify(reminded, expires_in=7)
    plan_night(hlf, TODAY, now=now - 6 * MINUTES)

    sweep(now=now)

    sent = received("night")
    do(sent)
    assert [arguments[1] for _name, arguments in sent] == [[reminded.pk]]
    assert not Mentor.objects.filter(status="paused").exists()


# 3. A run with nothing pending.


def test_a_run_with_nothing_pending_is_closed_at_once(hlf: Organisation, lapsed: list[Mentor], now: datetime) -> None:
    run = plan_night(hlf, TODAY, now=now)
    work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk for mentor in lapsed]), now=now)

    sweep(now=now)

    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("succeeded", now)


# 4. Slots that nobody ran.


def test_a_missed_slot_is_made_up_once(job: CronJob) -> None:
    for minutes in (4, 6, 8):
        sweep(now=SLOT + minutes * MINUTES)

    assert made_of_slots() == [IN_ORDER, (SLOT, "catch_up", "succeeded")]
    assert Run.objects.get(scheduled_for=SLOT).business_date == date(2026, 11, 21)


def test_a_slot_before_midnight_that_is_made_up_after_it_has_its_own_day(hlf: Organisation) -> None:
    job = schedule_nightly_run(organisation=hlf, cron_expression="45 23 * * *", now=SLOT - ONE_DAY)
    slot = SLOT - 45 * MINUTES  # 23:45 in Oslo on the 20th

    made_up = execute_slot(job, slot=slot, now=slot + 16 * MINUTES)

    assert made_up is not None
    assert (made_up.trigger, made_up.business_date) == ("catch_up", date(2026, 11, 20))


def test_beat_gets_three_minutes_to_fire_a_slot_itself(job: CronJob) -> None:
    sweep(now=SLOT + 2 * MINUTES)

    assert made_of_slots() == [IN_ORDER]


def test_a_slot_that_beat_fired_is_not_made_up(job: CronJob) -> None:
    execute_slot(job, slot=SLOT, now=SLOT)

    sweep(now=SLOT + 10 * MINUTES)

    assert made_of_slots() == [IN_ORDER, (SLOT, "schedule", "succeeded")]


def test_beat_that_comes_after_the_sweep_finds_the_slot_taken(job: CronJob) -> None:
    sweep(now=SLOT + 10 * MINUTES)

    run = execute_slot(job, slot=SLOT, now=SLOT + 11 * MINUTES)

    assert run is None


@pytest.mark.parametrize(("hours_late", "status"), [(24, "succeeded"), (24.1, "missed")])
def test_a_slot_is_made_up_as_late_as_the_organisation_allows(job: CronJob, hours_late: float, status: str) -> None:
    job.cron_expression = "30 0 21 * *"
    job.save()

    sweep(now=SLOT + timedelta(hours=hours_late))

    assert made_of_slots()[1:] == [(SLOT, "catch_up" if status == "succeeded" else "schedule", status)]


def test_after_days_without_beat_the_newest_slot_is_made_up_and_the_others_are_kept_as_missed(job: CronJob) -> None:
    sweep(now=SLOT + 3 * ONE_DAY + 10 * MINUTES)

    made = made_of_slots()
    assert made == [
        IN_ORDER,
        (SLOT, "schedule", "missed"),
        (SLOT + ONE_DAY, "schedule", "missed"),
        (SLOT + 2 * ONE_DAY, "schedule", "missed"),
        (SLOT + 3 * ONE_DAY, "catch_up", "succeeded"),
    ]
    missed = Run.objects.filter(status="missed").order_by("scheduled_for").first()
    assert missed is not None
    assert missed.business_date == TODAY
    assert "No run was claimed" in missed.error.in_english()


def test_a_job_that_never_ran_is_made_up_from_the_day_it_was_made(hlf: Organisation) -> None:
    created(schedule_nightly_run(now=SLOT, organisation=hlf), SLOT - timedelta(hours=1))

    sweep(now=SLOT + 10 * MINUTES)

    assert made_of_slots() == [(SLOT, "catch_up", "succeeded")]


def test_a_slot_before_the_job_was_made_was_not_missed(hlf: Organisation) -> None:
    created(schedule_nightly_run(now=SLOT, organisation=hlf), SLOT + MINUTES)

    sweep(now=SLOT + 10 * MINUTES)

    assert made_of_slots() == []


def test_the_slots_of_a_job_that_is_switched_off_are_kept_as_missed_and_never_run(job: CronJob) -> None:
    change_cron_job(job, enabled=False, pause_note="The roster is being mended.", by="olav", now=SLOT - MINUTES)

    for minutes in (1, 10, 20):
        sweep(now=SLOT + minutes * MINUTES)

    assert made_of_slots() == [IN_ORDER, (SLOT, "schedule", "missed")]
    kept = Run.objects.get(scheduled_for=SLOT)
    assert kept.cause.in_english() == "Switched off by olav on 2026-11-21 00:29:00: The roster is being mended."


def test_no_more_than_forty_days_of_slots_are_kept_of_a_job_that_is_switched_off(job: CronJob) -> None:
    change_cron_job(job, enabled=False, pause_note="Not needed.", now=SLOT - MINUTES)

    sweep(now=SLOT + 100 * ONE_DAY)

    assert Run.objects.filter(status="missed").count() == 40


def test_a_slot_that_was_missed_just_before_the_job_was_switched_off_is_kept_with_both_causes(job: CronJob) -> None:
    record_heartbeat(Component.BEAT, now=SLOT - 10 * MINUTES)
    change_cron_job(job, enabled=False, pause_note="Something is wrong.", by="olav", now=SLOT + 5 * MINUTES)

    sweep(now=SLOT + 6 * MINUTES)

    missed = Run.objects.get(scheduled_for=SLOT)
    assert missed.cause.in_english() == (
        "Beat was silent from 2026-11-21 00:20:00 until this was written. "
        "Switched off by olav on 2026-11-21 00:35:00: Something is wrong."
    )
    assert missed.error.in_english() == "No run was claimed for this slot while it could still be made up."
    assert not missed.was_switched_off


def test_a_slot_waits_for_an_open_run_and_is_made_up_after_it(job: CronJob, lapsed: list[Mentor]) -> None:
    now = SLOT + 10 * MINUTES
    by_hand = plan_night(job.organisation, TODAY, now=now)
    sweep(now=now)
    while_it_was_open = made_of_slots()
    by_hand.items.update(status="skipped")

    sweep(now=now + 2 * MINUTES)

    assert while_it_was_open == [IN_ORDER]
    assert [status for _slot, _trigger, status in made_of_slots()] == ["succeeded", "running"]


def test_a_missed_slot_takes_over_from_a_held_run(job: CronJob, lapsed: list[Mentor]) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    held = plan_night(job.organisation, TODAY, now=SLOT - timedelta(hours=1))

    sweep(now=SLOT + 10 * MINUTES)

    held.refresh_from_db()
    assert held.status == Run.Status.PARTIAL
    assert made_of_slots()[1:] == [(SLOT, "catch_up", "held")]


def test_the_trouble_of_one_job_does_not_stop_the_next(job: CronJob) -> None:
    broken = schedule_nightly_run(now=SLOT, organisation=Organisation.objects.create(slug="a", name="A"), name="broken")
    CronJob.objects.filter(pk=broken.pk).update(cron_expression="nonsense", slots_from=SLOT - ONE_DAY)

    sweep(now=SLOT + 10 * MINUTES)

    assert made_of_slots() == [IN_ORDER, (SLOT, "catch_up", "succeeded")]


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_make_up_a_slot_once(job: CronJob, lapsed: list[Mentor]) -> None:
    swept = run_at_once(*[lambda: sweep(now=SLOT + ONE_DAY + 10 * MINUTES)] * 3)

    assert not [result for result in swept if isinstance(result, Exception)]
    assert made_of_slots() == [
        IN_ORDER,
        (SLOT, "schedule", "missed"),
        (SLOT + ONE_DAY, "catch_up", "running"),
    ]
    assert RunItem.objects.count() == 3


# 5. Messages.


def test_what_a_dead_worker_left_half_sent_is_queued_again_and_delivery_is_nudged(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    now: datetime,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY)
    Notification.objects.update(status="sending", next_attempt_at=now - MINUTES)

    with django_capture_on_commit_callbacks(execute=True):
        sweep(now=now)

    assert set(Notification.objects.values_list("status", flat=True)) == {"queued"}
    assert received("delivery") == [("notifications.deliver", [])]


def test_a_message_that_a_worker_is_just_sending_is_left_to_it(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    now: datetime,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY)
    Notification.objects.update(status="sending", next_attempt_at=now + MINUTES)

    with django_capture_on_commit_callbacks(execute=True):
        sweep(now=now)

    assert set(Notification.objects.values_list("status", flat=True)) == {"sending"}
    assert received("delivery") == []
