"""Heartbeats, the silences between them, and what a slot that has no run says of its cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask
from time_machine import Traveller

from cronjobs import heartbeats, outages
from cronjobs.models import Component, CronJob, Heartbeat, Outage, Run, RunItem
from cronjobs.nightly import claim_run, close_run, plan_run
from cronjobs.record_text import CAUSE_NOT_FOUND
from cronjobs.schedules import causes
from cronjobs.schedules.jobs import change_cron_job, create_cron_job
from cronjobs.starting import execute_owed_slot
from cronjobs.tasks import run_slot, sweep_up
from mentors.models import Mentor, Organisation
from tests.support.at_once import run_at_once
from tests.support.databases import ask

pytestmark = pytest.mark.django_db

SLOT = datetime(2025, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st; no server runs since then
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ALL = (Component.BEAT, Component.BROKER, Component.WORKERS)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - 12 * HOUR)


def heard(*components: Component, minutes: tuple[float, ...]) -> None:
    """Have parts heard of so many minutes after the slot, and never in between."""
    for component in components:
        for minute in minutes:
            heartbeats.record_heartbeat(component, now=SLOT + minute * MINUTE)


def why_not_run(job: CronJob, slot: datetime, *, now: datetime) -> str:
    return causes.why_not_run(job, slot, now=now).in_english()


def describe_delay(run: Run, *, now: datetime) -> str:
    return outages.describe_delay(run, now=now).in_english()


# Heartbeats.


def test_a_heartbeat_after_a_silence_writes_it_down_once() -> None:
    heard(Component.BEAT, minutes=(0, 1, 2, 60, 61))

    [outage] = Outage.objects.all()
    assert (outage.component, outage.from_at, outage.until_at) == ("beat", SLOT + 2 * MINUTE, SLOT + 60 * MINUTE)
    assert heartbeats.last_heard() == {Component.BEAT: SLOT + 61 * MINUTE}


def test_what_a_part_failed_at_is_a_silence_however_short_and_grows_until_it_is_heard_of() -> None:
    heartbeats.record_heartbeat(Component.BROKER, now=SLOT)
    heartbeats.record_failure(Component.BROKER, now=SLOT + MINUTE)
    heartbeats.record_failure(Component.BROKER, now=SLOT + 3 * MINUTE)
    at_first = Outage.objects.get().until_at

    heartbeats.record_heartbeat(Component.BROKER, now=SLOT + 9 * MINUTE)

    assert (at_first, Outage.objects.get().until_at) == (SLOT + 3 * MINUTE, SLOT + 9 * MINUTE)


def test_a_heartbeat_that_arrives_late_takes_nothing_back() -> None:
    heard(Component.BEAT, minutes=(5, 1))

    assert heartbeats.last_heard() == {Component.BEAT: SLOT + 5 * MINUTE}
    assert not Outage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_eight_that_hear_of_a_part_at_once_write_one_silence() -> None:
    heard(Component.WORKERS, minutes=(0,))

    heard_at_once = run_at_once(*[lambda: heartbeats.record_heartbeat(Component.WORKERS, now=SLOT + HOUR)] * 8)

    assert heard_at_once == [None] * 8
    assert Outage.objects.count() == 1


def test_a_worker_that_takes_a_task_is_heard_of_before_it_does_it(job: CronJob, clock: Traveller) -> None:
    clock.move_to(SLOT + MINUTE)
    heard(*ALL, minutes=(-60,))

    run_slot(job.pk)
    by_the_slot = heartbeats.last_heard()[Component.WORKERS]
    sweep_up()

    assert SLOT < by_the_slot < heartbeats.last_heard()[Component.WORKERS]
    assert Outage.objects.get().component == "workers"


# The cause.


def test_beat_that_was_down_is_named_and_not_those_that_waited_for_it(job: CronJob) -> None:
    heard(Component.BEAT, minutes=(-20, 300))
    heard(Component.BROKER, Component.WORKERS, minutes=(-21, 300.1))

    assert why_not_run(job, SLOT, now=SLOT + 301 * MINUTE) == (
        "Beat was silent from 2025-11-21 00:10:00 to 2025-11-21 05:30:00."
    )


def test_what_is_silent_as_it_is_written_is_not_said_to_be_over(job: CronJob) -> None:
    heard(*ALL, minutes=(-20,))

    cause = why_not_run(job, SLOT, now=SLOT + 10 * MINUTE)

    assert cause == "Beat was silent from 2025-11-21 00:10:00 until this was written."


def test_a_broker_that_was_down_is_named_and_not_the_workers_that_waited_for_it(job: CronJob) -> None:
    heard(Component.BEAT, minutes=tuple(range(-25, 310)))
    heard(Component.BROKER, Component.WORKERS, minutes=(-20, 300))

    assert why_not_run(job, SLOT, now=SLOT + 301 * MINUTE) == (
        "The broker took nothing from beat from 2025-11-21 00:10:00 to 2025-11-21 05:30:00."
    )


def test_a_publish_that_failed_is_a_cause_though_the_broker_was_soon_back(job: CronJob) -> None:
    heard(*ALL, minutes=(-0.5,))
    heartbeats.record_failure(Component.BROKER, now=SLOT + MINUTE / 60)
    heard(*ALL, minutes=(0.5,))

    assert why_not_run(job, SLOT, now=SLOT + 2 * MINUTE) == (
        "The broker took nothing from beat from 2025-11-21 00:29:30 to 2025-11-21 00:30:01."
    )


def test_a_broker_that_is_still_down_is_named_once_however_often_it_failed(job: CronJob) -> None:
    heard(*ALL, minutes=(-10,))
    heard(Component.BEAT, minutes=(-8, -6, -4, -2, 0, 2, 4))
    Outage.objects.all().delete()
    heartbeats.record_failure(Component.BROKER, now=SLOT + 2 * MINUTE)

    cause = why_not_run(job, SLOT, now=SLOT + 4 * MINUTE)

    assert cause == "The broker took nothing from beat from 2025-11-21 00:20:00 until this was written."


def test_workers_that_were_gone_are_named(job: CronJob) -> None:
    heard(Component.BEAT, Component.BROKER, minutes=tuple(range(-25, 310)))
    heard(Component.WORKERS, minutes=(-20, 300))

    assert why_not_run(job, SLOT, now=SLOT + 301 * MINUTE) == (
        "No worker began a sweep or a slot from 2025-11-21 00:10:00 to 2025-11-21 05:30:00."
    )


def test_two_silences_that_have_nothing_to_do_with_each_other_are_both_named(job: CronJob) -> None:
    heard(Component.BEAT, minutes=(-2, 2))
    heard(Component.BROKER, minutes=(-60, 60))

    cause = why_not_run(job, SLOT, now=SLOT + 61 * MINUTE)

    assert cause.startswith("Beat was silent from 2025-11-21 00:28:00 to 2025-11-21 00:32:00. The broker took nothing")


def test_what_beat_and_the_watchdog_have_in_common_was_away_when_both_were_silent(job: CronJob) -> None:
    heard(*ALL, Component.WATCHDOG, minutes=(-1, 20, 21))

    cause = why_not_run(job, SLOT, now=SLOT + 21 * MINUTE)

    assert cause == "The database was away, or the whole machine, from 2025-11-21 00:29:00 to 2025-11-21 00:50:00."


def test_a_database_that_was_started_while_all_were_silent_was_down(job: CronJob) -> None:
    started_at = database_started_at()
    before, after = started_at - HOUR, started_at + MINUTE
    for component in (*ALL, Component.WATCHDOG):
        heartbeats.record_heartbeat(component, now=before)
        heartbeats.record_heartbeat(component, now=after)

    cause = why_not_run(job, started_at - MINUTE * 30, now=after)

    assert cause.startswith("The database was away, or the whole machine, from 20")
    assert "The database was started at 20" in cause
    assert "silent" not in cause


def test_a_database_that_was_restarted_right_at_the_slot_is_named(job: CronJob) -> None:
    started_at = database_started_at()
    for component in ALL:
        heartbeats.record_heartbeat(component, now=started_at)

    cause = why_not_run(job, started_at - MINUTE, now=started_at + MINUTE)

    assert cause.startswith("The database was started at ")


def database_started_at() -> datetime:
    [(started_at,)] = ask("SELECT pg_postmaster_start_time()")
    assert isinstance(started_at, datetime)
    return started_at


def test_a_part_that_was_never_heard_of_is_named(job: CronJob) -> None:
    assert why_not_run(job, SLOT, now=SLOT + HOUR) == "Beat has never been heard of."


def test_a_run_that_was_open_is_named(job: CronJob) -> None:
    heard(*ALL, minutes=(-0.5, 0.5))
    by_hand = claim_run(
        organisation=job.organisation, business_date=SLOT.date(), trigger=Run.Trigger.MANUAL, now=SLOT - MINUTE
    )

    assert why_not_run(job, SLOT, now=SLOT + 2 * MINUTE) == (
        f"Run {by_hand.pk} was in the way: it was open from 2025-11-21 00:29:00 until this was written."
    )


def test_another_schedule_in_beats_tables_is_named(job: CronJob) -> None:
    heard(*ALL, minutes=(-0.5, 0.5))
    PeriodicTask.objects.filter(pk=job.periodic_task_id).update(enabled=False)

    assert why_not_run(job, SLOT, now=SLOT + 2 * MINUTE) == (
        "Beat has another schedule than the job. The job is on, beat's entry is off."
    )


def test_where_nothing_is_known_nothing_is_made_up(job: CronJob) -> None:
    heard(*ALL, minutes=(-0.5, 0.5))

    assert why_not_run(job, SLOT, now=SLOT + 2 * MINUTE) == CAUSE_NOT_FOUND().in_english()


def test_who_switched_it_off_and_why_is_named_and_nothing_else(job: CronJob) -> None:
    off = change_cron_job(job, enabled=False, pause_note="Summer.", by="olav", now=SLOT - HOUR)

    assert why_not_run(off, SLOT, now=SLOT + HOUR) == "Switched off by olav on 2025-11-20 23:30:00: Summer."


# What is done with it.


def test_a_slot_that_beat_fires_at_its_time_has_no_cause(job: CronJob) -> None:
    run = execute_owed_slot(job, until=SLOT + MINUTE, now=SLOT + MINUTE)

    assert run is not None
    assert (run.trigger, run.cause.in_english()) == ("schedule", "")


def test_a_slot_that_beat_itself_fires_hours_late_is_made_up_and_says_why(job: CronJob) -> None:
    heard(*ALL, minutes=(-20, 300))

    run = execute_owed_slot(job, until=SLOT + 5 * HOUR, now=SLOT + 5 * HOUR)

    assert run is not None
    assert (run.scheduled_for, run.trigger) == (SLOT, "catch_up")
    assert run.cause.in_english() == "Beat was silent from 2025-11-21 00:10:00 to 2025-11-21 05:30:00."


def test_days_that_beat_slept_through_are_kept_though_it_fires_the_newest_itself(job: CronJob) -> None:
    heard(*ALL, minutes=(-20, 3 * 24 * 60))
    now = SLOT + timedelta(days=3) + MINUTE

    execute_owed_slot(job, until=now, now=now)

    kept = Run.objects.filter(cron_job=job).order_by("scheduled_for")
    assert list(kept.values_list("status", "trigger")) == [("missed", "schedule")] * 3 + [("succeeded", "schedule")]
    assert {run.cause.in_english() for run in kept[:3]} == {
        "Beat was silent from 2025-11-21 00:10:00 to 2025-11-24 00:30:00."
    }


@pytest.mark.parametrize("change", [{"enabled": False}, {"slots_from": SLOT + MINUTE}])
def test_what_beat_fires_of_a_job_that_owes_nothing_is_not_run(job: CronJob, change: dict[str, object]) -> None:
    CronJob.objects.update(**change)
    job.refresh_from_db()

    run = execute_owed_slot(job, until=SLOT + HOUR, now=SLOT + HOUR)

    assert run is None
    assert not Run.objects.exists()


def test_a_weekly_slot_that_comes_out_of_the_queue_too_late_is_kept_as_missed(hlf: Organisation) -> None:
    weekly = create_cron_job(organisation=hlf, name="weekly", cron_expression="30 0 * * 5", now=SLOT - HOUR)

    run = execute_owed_slot(weekly, until=SLOT + 30 * HOUR, now=SLOT + 30 * HOUR)

    assert run is None
    assert Run.objects.get().status == Run.Status.MISSED


def test_what_beat_fired_of_a_job_that_was_removed_since_does_nothing(job: CronJob) -> None:
    pk = job.pk
    job.delete()

    assert run_slot(pk) is None


# A run that was held up.


def test_a_run_that_was_at_work_while_parts_were_away_says_so_at_its_close(job: CronJob) -> None:
    run = claim_run(
        organisation=job.organisation,
        cron_job=job,
        scheduled_for=SLOT,
        business_date=SLOT.date(),
        trigger=Run.Trigger.SCHEDULE,
        now=SLOT,
    )
    heard(*ALL, minutes=(0, 20, 21, 22, 23, 24))
    plan_run(run.pk, now=SLOT + 21 * MINUTE)

    close_run(run.pk, now=SLOT + 25 * MINUTE)

    run.refresh_from_db()
    assert run.cause.in_english() == "It was held up. Beat was silent from 2025-11-21 00:30:00 to 2025-11-21 00:50:00."


def test_a_run_that_was_quick_or_slow_for_no_known_reason_says_nothing(job: CronJob) -> None:
    heard(*ALL, minutes=(-20, 0, 1))
    run = Run(organisation=job.organisation, cron_job=job, created_at=SLOT - MINUTE)

    run.finished_at = SLOT + MINUTE
    quick = describe_delay(run, now=SLOT + 2 * MINUTE)
    Outage.objects.all().delete()
    run.finished_at = SLOT + 60 * MINUTE
    heard(*ALL, minutes=(2, 3, 4))
    Heartbeat.objects.update(at=SLOT + 60 * MINUTE)

    assert (quick, describe_delay(run, now=SLOT + 61 * MINUTE)) == ("", "")


def test_beat_and_the_watchdog_that_were_silent_one_after_the_other_had_no_cause_in_common(job: CronJob) -> None:
    heard(*ALL, minutes=(0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21))
    heard(Component.WATCHDOG, minutes=(0, 4, 8, 12, 20, 21))
    run = Run(organisation=job.organisation, cron_job=job, created_at=SLOT, finished_at=SLOT + 21 * MINUTE)

    held_up = describe_delay(run, now=SLOT + 21 * MINUTE)

    assert held_up == "It was held up. Beat was silent from 2025-11-21 00:30:00 to 2025-11-21 00:40:00."


@pytest.mark.parametrize(
    ("status", "minute", "held_up"), [("done", 10, False), ("pending", 10, True), ("done", 22, True)]
)
def test_workers_who_did_the_runs_own_work_meanwhile_did_not_hold_it_up(
    job: CronJob, mentor: Mentor, status: str, minute: int, held_up: bool
) -> None:
    heard(Component.BEAT, Component.BROKER, Component.WATCHDOG, minutes=tuple(range(24)))
    heard(Component.WORKERS, minutes=(0, 21, 23))
    run = Run.objects.create(
        organisation=job.organisation, business_date="2025-11-21", trigger="manual", actions=["pause"],
        status="succeeded", created_at=SLOT, finished_at=SLOT + 23 * MINUTE,
    )  # fmt: skip
    RunItem.objects.create(
        run=run, action="pause", mentor=mentor, dedupe_key="pause", status=status, at=SLOT + minute * MINUTE
    )

    said = describe_delay(run, now=SLOT + 23 * MINUTE)

    assert said == (
        "It was held up. No worker began a sweep or a slot from 2025-11-21 00:30:00 to 2025-11-21 00:51:00."
        if held_up
        else ""
    )
