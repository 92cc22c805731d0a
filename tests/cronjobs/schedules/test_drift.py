"""A job and its entry in beat's own tables: an edit past us is shown, never overwritten, and resolved by a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from django_celery_beat.schedulers import ModelEntry

from cronjobs import record_text, sweep
from cronjobs.models import CronJob, Run
from cronjobs.schedules.drift import CannotTakeOver, ScheduleDrifted, find_drift
from cronjobs.schedules.jobs import change_cron_job, create_cron_job, remove_cron_job, resolve_drift
from mentors.models import Organisation
from tests.conftest import NOW
from tests.support.entries import edit, edit_crontab, entry_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=NOW)


def use(job: CronJob, kind: str, schedule: Any) -> None:
    edit(job, crontab=None, **{kind: schedule})


Edit = Callable[[CronJob], object]
EDITS: dict[str, tuple[Edit, str]] = {
    "removed": (lambda job: entry_of(job).delete(), "Beat has no entry for the job."),
    "off": (lambda job: edit(job, enabled=False), "The job is on, beat's entry is off."),
    "minute": (
        lambda job: edit_crontab(job, minute="45"), "Beat fires it at “45 0 * * *”, the job says “30 0 * * *”."
    ),
    "weekday": (
        lambda job: edit_crontab(job, day_of_week="mon"), "Beat fires it at “30 0 * * 1”, the job says “30 0 * * *”."
    ),
    "unreadable": (
        lambda job: edit_crontab(job, hour="x"), "Beat fires it at “30 x * * *”, the job says “30 0 * * *”."
    ),
    "zone": (lambda job: edit_crontab(job, timezone="UTC"), "Beat's times are of UTC, the job's of Europe/Oslo."),
    "task": (
        lambda job: edit(job, task="cronjobs.sweep"), "Beat's entry has task cronjobs.sweep, not cronjobs.nightly."
    ),
    "args": (lambda job: edit(job, args="[0]"), "Beat's entry has args [0], not ["),
    "no json": (lambda job: edit(job, args="["), "Beat's entry has args [, not ["),
    "kwargs": (lambda job: edit(job, kwargs='{"x": 1}'), "Beat's entry has kwargs"),
    "queue": (lambda job: edit(job, queue="delivery"), "Beat's entry has queue delivery, not None."),
    "one_off": (lambda job: edit(job, one_off=True), "Beat's entry has one_off True, not False."),
    "expires": (lambda job: edit(job, expires=NOW), "Beat's entry has expires 2026-11-21"),
    "expire_seconds": (lambda job: edit(job, expire_seconds=5), "Beat's entry has expire_seconds 5, not None."),
    "start_time": (lambda job: edit(job, start_time=NOW), "Beat's entry has start_time 2026-11-21"),
    "interval": (
        lambda job: use(job, "interval", IntervalSchedule.objects.create(every=1, period="days")),
        "Beat's entry has interval schedule instead of a crontab.",
    ),
    "clocked": (
        lambda job: use(job, "clocked", ClockedSchedule.objects.create(clocked_time=NOW)),
        "Beat's entry has clocked schedule instead of a crontab.",
    ),
    "solar": (
        lambda job: use(job, "solar", SolarSchedule.objects.create(event="sunrise", latitude=60, longitude=11)),
        "Beat's entry has solar schedule instead of a crontab.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edit_of", "said"), EDITS.values(), ids=EDITS)
def test_an_edit_of_beats_tables_is_seen_and_kept_until_a_person_keeps_the_schedule(
    job: CronJob, edit_of: Edit, said: str
) -> None:
    edit_of(job)
    job.refresh_from_db()
    seen = find_drift([job])
    with pytest.raises(ScheduleDrifted) as refused:
        change_cron_job(job, alert_after_minutes=5, now=NOW)
    sweep.sweep(now=NOW + HOUR)
    still_seen = find_drift([job])

    kept = resolve_drift(job, keep="schedule", now=NOW)

    [difference] = seen[job.pk]
    assert difference.in_english().startswith(said)
    assert str(difference) in str(refused.value)
    assert still_seen == seen
    assert find_drift([kept]) == {}
    assert PeriodicTask.objects.filter(task="cronjobs.nightly").count() == 1


def test_a_job_that_is_off_while_its_entry_is_on_has_drifted(job: CronJob) -> None:
    off = change_cron_job(job, enabled=False, pause_note="Summer.", now=NOW)
    edit(off, enabled=True)

    assert find_drift([off]) == {off.pk: record_text.ENTRY_ON()}


def test_a_crontab_that_is_written_in_another_way_is_no_drift(job: CronJob) -> None:
    edit_crontab(job, hour="00", day_of_week="0-6", minute="30")
    edit(job, args=f"[ {job.pk} ]", kwargs="")

    assert find_drift([job]) == {}


def test_a_job_of_its_own_making_never_drifts(job: CronJob) -> None:
    changed = change_cron_job(job, cron_expression="*/15 1-3 * * mon-fri", timezone="America/New_York", now=NOW)
    after_the_change = find_drift([changed])
    off = change_cron_job(changed, enabled=False, pause_note="Summer.", now=NOW)
    while_off = find_drift([off])

    on = change_cron_job(off, enabled=True, now=NOW)

    assert [after_the_change, while_off, find_drift([on])] == [{}, {}, {}]


def test_looking_at_many_costs_one_query(hlf: Organisation, django_assert_num_queries: Any) -> None:
    jobs = [create_cron_job(organisation=hlf, name=f"job {number}", now=NOW) for number in range(20)]
    edit(jobs[3], enabled=False)

    with django_assert_num_queries(1):
        found = find_drift(jobs)

    assert list(found) == [jobs[3].pk]


# Taking over what beat's tables say.


def test_what_beat_has_is_taken_over(job: CronJob) -> None:
    edit_crontab(job, minute="45", hour="2", day_of_week="sun", timezone="UTC")
    edit(job, expire_seconds=60)

    taken = resolve_drift(job, keep="beat", by="olav", now=NOW + HOUR)

    assert (taken.cron_expression, taken.timezone, taken.enabled) == ("45 2 * * 0", "UTC", True)
    assert taken.slots_from == NOW + HOUR
    assert find_drift([taken]) == {}


def test_an_entry_that_was_switched_off_switches_the_job_off_with_a_note(job: CronJob) -> None:
    edit(job, enabled=False)

    taken = resolve_drift(job, keep="beat", by="olav", now=NOW + HOUR)

    assert (taken.enabled, taken.pause_note) == (False, "Switched off in beat's own tables.")
    assert (taken.paused_by, taken.paused_at) == ("olav", NOW + HOUR)
    assert find_drift([taken]) == {}


def test_an_entry_that_was_switched_on_switches_the_job_on(job: CronJob) -> None:
    off = change_cron_job(job, enabled=False, pause_note="Summer.", by="olav", now=NOW)
    edit(off, enabled=True)

    taken = resolve_drift(off, keep="beat", by="kari", now=NOW + HOUR)

    assert (taken.enabled, taken.pause_note, taken.paused_by, taken.paused_at) == (True, "", "", None)


@pytest.mark.parametrize(
    ("edit_of", "reason"),
    [
        (EDITS["removed"][0], "It has no crontab for the job."),
        (EDITS["interval"][0], "It has no crontab for the job."),
        (lambda job: edit_crontab(job, day_of_month="31", month_of_year="2"), "This date never comes"),
        (lambda job: edit_crontab(job, day_of_month="1", day_of_week="1"), "write * for one of them"),
        (EDITS["unreadable"][0], "“x” is no hour"),
    ],
)
def test_what_is_nothing_for_a_job_is_not_taken_over(job: CronJob, edit_of: Edit, reason: str) -> None:
    edit_of(job)
    job.refresh_from_db()
    drift = find_drift([job])

    with pytest.raises(CannotTakeOver) as refused:
        resolve_drift(job, keep="beat", now=NOW)

    job.refresh_from_db()
    assert reason in str(refused.value)
    assert (job.cron_expression, find_drift([job])) == ("30 0 * * *", drift)


# What follows.


@pytest.mark.parametrize("keep", ["schedule", "beat"])
def test_beat_notices_the_resolution_and_does_not_fire_for_a_time_that_has_passed(
    job: CronJob, keep: Literal["schedule", "beat"]
) -> None:
    edit_crontab(job, minute="45")
    edit(job, last_run_at=timezone.now() - timedelta(days=3))
    seen_before = PeriodicTasks.last_change()

    resolve_drift(job, keep=keep, now=timezone.now())

    assert PeriodicTasks.last_change() > seen_before
    if keep == "schedule":
        assert not ModelEntry(entry_of(job)).is_due().is_due


def test_keeping_the_schedule_takes_back_no_slot_that_is_still_owed(job: CronJob) -> None:
    edit(job, enabled=False)
    later = NOW + timedelta(days=1)

    resolve_drift(job, keep="schedule", now=later)
    sweep.sweep(now=later + HOUR)

    run = Run.objects.get()
    assert (run.trigger, run.status) == ("catch_up", "succeeded")


def test_while_it_has_drifted_the_night_is_made_up_at_the_jobs_own_time_and_says_why(job: CronJob) -> None:
    edit_crontab(job, hour="5")

    sweep.sweep(now=NOW + 13 * HOUR)

    run = Run.objects.get()
    assert run.scheduled_for == NOW + 12.5 * HOUR
    assert "Beat has another schedule than the job. Beat fires it at “30 5 * * *”" in run.cause.in_english()


@pytest.mark.parametrize("edit_of", [EDITS["removed"][0], EDITS["interval"][0]])
def test_a_job_that_has_drifted_can_be_removed(job: CronJob, edit_of: Edit) -> None:
    edit_of(job)

    remove_cron_job(CronJob.objects.get())

    assert not PeriodicTask.objects.filter(name__startswith="nightly").exists()


def test_an_entry_that_was_renamed_is_still_the_jobs(job: CronJob) -> None:
    edit(job, name="something else", enabled=False)

    resolve_drift(job, keep="schedule", now=NOW)
    remove_cron_job(CronJob.objects.get())

    assert not PeriodicTask.objects.filter(task="cronjobs.nightly").exists()
