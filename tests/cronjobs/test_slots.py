"""The slots of a job: the moments at which its expression comes true in its zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from time_machine import Traveller

from cronjobs.cron import slots
from cronjobs.models import Run
from cronjobs.starting import schedule_nightly_run
from cronjobs.sweep import sweep
from cronjobs.tasks import run_slot
from mentors.models import Organisation
from tests.cronjobs.conftest import SLOT

ONE_DAY = timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("cron_expression", "after", "until", "expected"),
    [
        # Every night, in winter and in summer.
        ("30 0 * * *", "2026-11-20T00:00", "2026-11-21T00:00", ["2026-11-20T23:30"]),
        ("30 0 * * *", "2026-07-20T00:00", "2026-07-21T00:00", ["2026-07-20T22:30"]),
        # After is open, until is closed.
        ("30 0 * * *", "2026-11-20T23:30", "2026-11-21T23:30", ["2026-11-21T23:30"]),
        ("30 0 * * *", "2026-11-20T23:30", "2026-11-21T23:29", []),
        # The night in March in which 02:30 does not exist: at 03:30.
        (
            "30 2 * * *",
            "2026-03-27T12:00",
            "2026-03-30T12:00",
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"],
        ),
        # The night in October in which 02:30 comes twice: the first time only.
        (
            "30 2 * * *",
            "2026-10-23T12:00",
            "2026-10-26T12:00",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        # In March 02:00 and 03:00 are one moment, which is one slot; and they come in order.
        (
            "*/30 1-3 * * *",
            "2026-03-28T12:00",
            "2026-03-29T12:00",
            ["2026-03-29T00:00", "2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"],
        ),
        # Weekdays and months by number and name; Sunday is 0.
        ("0 12 * * 0", "2026-11-16T00:00", "2026-11-30T00:00", ["2026-11-22T11:00", "2026-11-29T11:00"]),
        ("0 12 * * mon", "2026-11-16T00:00", "2026-11-24T00:00", ["2026-11-16T11:00", "2026-11-23T11:00"]),
        ("0 12 1 1 *", "2026-06-01T00:00", "2027-06-01T00:00", ["2027-01-01T11:00"]),
        ("0 12 29 2 *", "2026-01-01T00:00", "2028-12-01T00:00", ["2028-02-29T11:00"]),
    ],
)
def test_the_slots_of_a_job_are_its_local_times(
    hlf: Organisation, cron_expression: str, after: str, until: str, expected: list[str]
) -> None:
    job = schedule_nightly_run(now=SLOT, organisation=hlf, cron_expression=cron_expression)

    found = list(slots(job.cron_expression, job.timezone, after=utc(after), until=utc(until)))

    assert found == [utc(slot) for slot in expected]


def test_every_night_of_a_year_has_one_slot(hlf: Organisation) -> None:
    for hour in range(24):
        found = list(
            slots(f"15 {hour} * * *", hlf.timezone, after=utc("2025-12-31T23:00"), until=utc("2026-12-31T22:59"))
        )

        assert len(found) == 365
        assert {hlf.local_date(slot) for slot in found} == {date(2026, 1, 1) + n * ONE_DAY for n in range(365)}


@pytest.mark.django_db
@pytest.mark.usefixtures("empty_queues")
@pytest.mark.parametrize("behind", [timedelta(milliseconds=100), timedelta(seconds=9), timedelta()])
def test_a_worker_whose_clock_is_behind_beats_runs_the_slot_for_which_it_was_called(
    hlf: Organisation, clock: Traveller, behind: timedelta
) -> None:
    job = schedule_nightly_run(organisation=hlf, now=SLOT - ONE_DAY)
    clock.move_to(SLOT - behind, tick=False)

    run_slot(job.pk)
    run_slot(job.pk)
    sweep(now=SLOT + timedelta(minutes=4))

    [run] = Run.objects.all()
    assert (run.scheduled_for, run.trigger, run.cause.in_english()) == (SLOT, "schedule", "")


@pytest.mark.django_db
@pytest.mark.usefixtures("empty_queues")
def test_a_task_that_comes_long_before_a_slot_does_not_run_it(hlf: Organisation, clock: Traveller) -> None:
    job = schedule_nightly_run(organisation=hlf, now=SLOT - timedelta(hours=1))
    clock.move_to(SLOT - timedelta(seconds=11), tick=False)

    assert run_slot(job.pk) is None
