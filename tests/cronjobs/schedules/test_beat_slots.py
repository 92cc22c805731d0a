"""What beat fires, slot by slot: what `cron.slots` says, and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
import time_machine
from celery import current_app
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from cronjobs.cron import slots
from cronjobs.models import CronJob
from cronjobs.schedules.drift import CRON_FIELDS
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from tests.cronjobs.schedules.conftest import Facts, StartBeat, turn
from tests.support.queues import do, made_of_slots, received

pytestmark = pytest.mark.usefixtures("empty_queues")

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st
SECOND, MINUTE, HOUR, ONE_DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))
TWO_YEARS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
EXPRESSIONS = (
    "30 0 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "15 3 * * *",
    "45 23 * * *",
    "*/15 1-3 * * 0",
    "0 */12 * * *",
    "30 2 * * 0",
    "0 4 * * 1-5",
    "0 0 1 * *",
    "30 2 31 * *",
    "30 2 29 3 *",
    "30 2 28-31 3,10 *",
)


def entry_at(expression: str, zone: str, last_run_at: datetime) -> ModelEntry:
    """Return beat's own entry for a schedule, which is in no table."""
    times = dict(zip(CRON_FIELDS, expression.split(), strict=True))
    crontab = CrontabSchedule(**times, timezone=ZoneInfo(zone))
    task = PeriodicTask(name="nightly", task="cronjobs.nightly", crontab=crontab, last_run_at=last_run_at)
    return ModelEntry(task, app=current_app._get_current_object())  # type: ignore[attr-defined]  # a proxy


def play(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return when beat fires: it sleeps as long as the entry says, and looks more often around a clock change.

    That is what beat does whenever its schedule is read anew, at any time. Every five minutes will do: all times of the
    expressions are multiples of them, so whatever fires at a wrong time is seen at its very minute.
    """
    fired: list[datetime] = []
    now, entry = start, entry_at(expression, zone, start)
    with time_machine.travel(start, tick=False) as clock:
        while now <= end:
            is_due, seconds = entry.is_due()
            if is_due:
                fired.append(now)
                entry = next(entry)
            sleeps = max(SECOND, timedelta(seconds=seconds))
            now += min(sleeps, 5 * MINUTE) if clocks_change_around(now.replace(minute=0), zone) else sleeps
            clock.move_to(now.timestamp())
    return fired


@cache
def clocks_change_around(hour: datetime, zone: str) -> bool:
    """Whether they do within six hours of this one."""
    local = ZoneInfo(zone)
    return (hour - 6 * HOUR).astimezone(local).utcoffset() != (hour + 6 * HOUR).astimezone(local).utcoffset()


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC", "America/New_York"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_in_two_years_beat_fires_each_slot_at_its_minute_once_and_nothing_else(expression: str, zone: str) -> None:
    start, end = TWO_YEARS

    fired = play(expression, zone, start, end)

    assert fired == list(slots(expression, zone, after=start, until=end))


@pytest.mark.parametrize(
    ("zone", "around"),
    [("Europe/Oslo", "2027-03-28"), ("Europe/Oslo", "2027-10-31"), ("America/New_York", "2027-03-14"),
     ("America/New_York", "2027-11-07")],
)  # fmt: skip
def test_the_whole_scheduler_agrees_through_a_night_of_a_clock_change(
    hlf: Organisation, zone: str, around: str, clock: time_machine.Traveller, start_beat: StartBeat, facts: Facts
) -> None:
    start = datetime.fromisoformat(f"{around}T00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = start + 4 * HOUR
    jobs = [
        create_cron_job(organisation=hlf, name=expression, cron_expression=expression, timezone=zone, now=start)
        for expression in ("30 0 * * *", "30 2 * * *", "*/15 1-3 * * *", "30 1 * * 0")
    ]

    clock.move_to(start, tick=False)
    scheduler = start_beat()
    for quarter in range(17):  # in which all the slots are; and a minute later, in which nothing is
        for minute in (0, 1):
            clock.move_to(start + quarter * 15 * MINUTE + minute * MINUTE)
            turn(scheduler)

    sent = Counter((line["cron_job"], line["slot"]) for line in facts("slot_sent"))
    assert sent == {
        (job.pk, str(slot)): 1 for job in jobs for slot in slots(job.cron_expression, zone, after=start, until=end)
    }


def test_two_beats_through_a_week_of_nights_make_one_run_a_slot(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    nights = [SLOT + night * ONE_DAY for night in range(7)]

    clock.move_to(SLOT - 10 * MINUTE, tick=False)
    beats = [start_beat(), start_beat()]
    fired = 0
    for night in nights:
        for minute in (-2, 0, 2, 4):  # as often as a sweep is sent
            clock.move_to(night + minute * MINUTE + SECOND)
            for each in beats:
                turn(each)
            messages = received("night")
            fired += [name for name, _arguments in messages].count("cronjobs.nightly")
            do(messages)

    assert fired == 14
    assert made_of_slots() == [(night, "schedule", "succeeded") for night in nights]
