"""Beat: it fires what `cron.slots` says, shows that it works, and survives whatever is broken around it.

The clock is moved under beat's own objects; what it sends goes through the real Redis and is done by the tasks.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import time_machine
from celery import current_app
from django.conf import settings
from django.db import OperationalError, connection
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from cronjobs import beat, heartbeats
from cronjobs.beat import NightScheduler
from cronjobs.cron import slots
from cronjobs.drift import CRON_FIELDS
from cronjobs.jobs import create_cron_job
from cronjobs.models import CronJob, Heartbeat, Part, Run, Silence
from mentors.models import Organisation
from tests.cronjobs.test_sweep import do, received
from tests.support.processes import empty_broker, free_port

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st
SECOND = timedelta(seconds=1)
# Beat closes connections as it pleases, which a test's own transaction would not survive.
in_earnest = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)
ONE_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def empty_queues() -> Iterator[None]:
    empty_broker()
    yield
    empty_broker()


@pytest.fixture(autouse=True)
def sweep_entry(request: pytest.FixtureRequest) -> None:
    """Give beat the entry that a migration makes; tests in earnest begin with empty tables."""
    if request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db")
        every, _created = IntervalSchedule.objects.get_or_create(every=2, period="minutes")
        PeriodicTask.objects.get_or_create(name="sweep", defaults={"task": "cronjobs.sweep", "interval": every})


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - ONE_DAY / 2)


started: list[NightScheduler] = []


def start_beat() -> NightScheduler:
    """Make the scheduler that `celery beat` would; it is closed with the test."""
    scheduler = NightScheduler(app=current_app._get_current_object())  # type: ignore[attr-defined]  # a proxy
    started.append(scheduler)
    return scheduler


@pytest.fixture(autouse=True)
def closed_beats() -> Iterator[None]:
    yield
    while started:
        scheduler = started.pop()
        scheduler._finalize.cancel()  # or it would write to the database as the test process ends
        scheduler._dirty.clear()
        scheduler.close()


def turn(scheduler: NightScheduler) -> None:
    """Let beat's loop turn until it would sleep."""
    while scheduler.tick() == 0:
        pass


def facts(caplog: pytest.LogCaptureFixture, event_name: str) -> list[dict[str, Any]]:
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line.get("event_name") == event_name]


# What beat fires, slot by slot.

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
    """Return when beat fires: it sleeps as long as the entry says, and around a clock change looks every minute.

    Looking more often is what beat does whenever its schedule is read anew, which is at any time.
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
            now += min(sleeps, MINUTE) if clocks_change_on(now.date(), zone) else sleeps
            clock.move_to(now)
    return fired


@cache
def clocks_change_on(day: date, zone: str) -> bool:
    """Whether they do on this day of UTC, as all do that the tests use."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    return noon.utcoffset() != (noon - ONE_DAY).utcoffset()


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC", "America/New_York"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_in_two_years_beat_fires_each_slot_at_its_minute_once_and_nothing_else(expression: str, zone: str) -> None:
    start, end = TWO_YEARS

    fired = play(expression, zone, start, end)

    assert fired == list(slots(expression, zone, after=start, until=end))


@in_earnest
@pytest.mark.parametrize(
    ("zone", "around"),
    [("Europe/Oslo", "2027-03-28"), ("Europe/Oslo", "2027-10-31"), ("America/New_York", "2027-03-14"),
     ("America/New_York", "2027-11-07")],
)  # fmt: skip
def test_the_whole_scheduler_agrees_through_a_night_of_a_clock_change(
    hlf: Organisation, zone: str, around: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    start = datetime.fromisoformat(f"{around}T00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - MINUTE
    end = start + timedelta(hours=4)
    jobs = [
        create_cron_job(organisation=hlf, name=expression, cron_expression=expression, timezone=zone, now=start)
        for expression in ("30 0 * * *", "30 2 * * *", "*/15 1-3 * * *", "30 1 * * 0")
    ]

    with time_machine.travel(start, tick=False) as clock:
        scheduler = start_beat()
        for minute in range(int((end - start) / MINUTE) + 1):
            clock.move_to(start + minute * MINUTE)
            turn(scheduler)

    sent = Counter((line["cron_job"], line["slot"]) for line in facts(caplog, "slot_sent"))
    assert sent == {
        (job.pk, str(slot)): 1 for job in jobs for slot in slots(job.cron_expression, zone, after=start, until=end)
    }


@in_earnest
def test_two_beats_through_a_week_of_nights_make_one_run_a_slot(hlf: Organisation, job: CronJob) -> None:
    nights = [SLOT + night * ONE_DAY for night in range(7)]

    with time_machine.travel(SLOT - 10 * MINUTE, tick=False) as clock:
        beats = [start_beat(), start_beat()]
        fired = 0
        for night in nights:
            for minute in range(-3, 6):
                clock.move_to(night + minute * MINUTE + SECOND)
                for each in beats:
                    turn(each)
                messages = received("night")
                fired += [name for name, _arguments in messages].count("cronjobs.nightly")
                do(messages)

    runs = Run.objects.order_by("scheduled_for")
    assert fired == 14
    assert list(runs.values_list("scheduled_for", "trigger", "status")) == [
        (night, "schedule", "succeeded") for night in nights
    ]


# What it shows of itself.


@in_earnest
def test_its_loop_is_heard_of_every_twenty_seconds_and_not_more_often(job: CronJob) -> None:
    heard: list[datetime] = []

    with time_machine.travel(SLOT - 2 * MINUTE, tick=False) as clock:
        scheduler = start_beat()
        for _ in range(9):
            turn(scheduler)
            heard.append(Heartbeat.objects.get(part=Part.BEAT).at)
            clock.shift(5)

    assert heard == [SLOT - 2 * MINUTE + seconds * SECOND for seconds in (0, 0, 0, 0, 20, 20, 20, 20, 40)]


@in_earnest
def test_a_message_that_the_broker_took_is_a_heartbeat_of_the_broker_and_a_line_with_the_runs_id(
    job: CronJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with time_machine.travel(SLOT - MINUTE, tick=False) as clock:
        scheduler = start_beat()
        turn(scheduler)
        clock.move_to(SLOT + SECOND)
        turn(scheduler)
        do([message for message in received("night") if message[0] == "cronjobs.nightly"])

    [line] = facts(caplog, "slot_sent")
    assert line["event"] == "slot sent"
    assert (line["cron_job"], line["slot"], line["run_id"]) == (job.pk, str(SLOT), str(Run.objects.get().pk))
    assert heartbeats.last_heard()[Part.BROKER] == SLOT + SECOND


@in_earnest
def test_the_heartbeat_comes_before_what_is_sent_so_that_it_finds_the_silence(job: CronJob) -> None:
    heartbeats.hear(Part.BEAT, now=SLOT - 10 * MINUTE)
    heartbeats.hear(Part.BROKER, now=SLOT - 10 * MINUTE)

    with time_machine.travel(SLOT + 300 * MINUTE, tick=False):
        turn(start_beat())
        do([message for message in received("night") if message[0] == "cronjobs.nightly"])

    run = Run.objects.get()
    assert (run.scheduled_for, run.trigger) == (SLOT, "catch_up")
    assert run.cause == "Beat was silent from 2026-11-21 00:20:00 to 2026-11-21 05:30:00."


@in_earnest
def test_an_entry_that_names_no_job_is_sent_all_the_same(job: CronJob, caplog: pytest.LogCaptureFixture) -> None:
    PeriodicTask.objects.filter(pk=job.periodic_task_id).update(args="[0]")

    with time_machine.travel(SLOT + SECOND, tick=False):
        turn(start_beat())

    [line] = facts(caplog, "slot_unknown")
    assert line["error"] == "DoesNotExist"
    assert ("cronjobs.nightly", [0]) in received("night")


# What it survives.


def broken(scheduler: NightScheduler, port: int) -> None:
    """Have beat publish to another broker."""
    scheduler.connection = current_app.connection_for_write(
        f"redis://127.0.0.1:{port}/0", transport_options=beat.BROKER_PATIENCE
    )
    scheduler.producer = scheduler.Producer(scheduler.connection, auto_declare=False)


@in_earnest
def test_a_publish_that_failed_is_logged_and_the_broker_is_not_heard_of(
    job: CronJob, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeats.hear(Part.BROKER, now=SLOT - MINUTE)

    with time_machine.travel(SLOT + SECOND, tick=False):
        scheduler = start_beat()
        broken(scheduler, free_port())
        turn(scheduler)

    lines = facts(caplog, "publish_failed")
    [ours] = [line for line in lines if line["entry"] == f"nightly:{job.pk}"]
    assert (ours["run_id"], ours["error"]) == (str(Run.id_of_slot(job.pk, SLOT)), "OperationalError")
    assert "127.0.0.1" not in caplog.text
    assert heartbeats.last_heard()[Part.BROKER] == SLOT - MINUTE
    assert heartbeats.last_heard()[Part.BEAT] == SLOT + SECOND
    assert Silence.objects.get().until_at == SLOT + SECOND


@in_earnest
def test_a_broker_that_is_silent_does_not_stop_the_loop(
    job: CronJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(beat, "BROKER_PATIENCE", {"socket_timeout": 0.2, "socket_connect_timeout": 0.2})
    began = monotonic()

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        scheduler = start_beat()
        broken(scheduler, silent.getsockname()[1])
        PeriodicTask.objects.filter(task="cronjobs.sweep").update(last_run_at=SLOT - ONE_DAY * 365)
        scheduler._initial_read = True
        turn(scheduler)

    assert facts(caplog, "publish_failed")
    assert monotonic() - began < 20


def test_what_a_silent_broker_costs_at_most_leaves_the_loop_in_time() -> None:
    attempts = 1 + settings.CELERY_TASK_PUBLISH_RETRY_POLICY["max_retries"]

    assert attempts * sum(beat.BROKER_PATIENCE.values()) < heartbeats.TOLERANCE[Part.BEAT].total_seconds()


@in_earnest
def test_a_beat_that_starts_without_a_broker_is_heard_of_itself(job: CronJob, settings: Any) -> None:
    with time_machine.travel(SLOT + SECOND, tick=False):
        scheduler = start_beat()
        scheduler.connection = current_app.connection_for_write(f"redis://127.0.0.1:{free_port()}/0")
        turn(scheduler)

    assert heartbeats.last_heard() == {Part.BEAT: SLOT + SECOND}


@in_earnest
def test_a_database_that_breaks_the_connection_does_not_end_it(job: CronJob, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = start_beat()
    turn(scheduler)
    first = Heartbeat.objects.get(part=Part.BEAT).at
    scheduler._heard_at.clear()
    break_the_connection()

    turn(scheduler)
    turn(scheduler)

    assert facts(caplog, "beat_database_error")
    assert Heartbeat.objects.get(part=Part.BEAT).at > first


def break_the_connection() -> None:
    """End the server process of this test's connection, as a restart of the database does."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@in_earnest
def test_while_the_schedule_cannot_be_read_it_goes_on_with_the_one_it_knows_and_asks_again_next_turn(
    job: CronJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = start_beat()
    known = set(scheduler.schedule)
    with monkeypatch.context() as away:
        away.setattr(DatabaseScheduler, "all_as_schedule", give_up)
        PeriodicTask.objects.get(pk=job.periodic_task_id).save()
        scheduler._last_full_sync -= ONE_DAY
        while_away = set(scheduler.schedule)
    PeriodicTask.objects.filter(pk=job.periodic_task_id).delete()

    back = set(scheduler.schedule)

    assert while_away == known
    assert known - back == {f"nightly:{job.pk}"}
    assert facts(caplog, "beat_database_error")


def give_up(_scheduler: object) -> None:
    raise OperationalError


@in_earnest
def test_a_database_that_is_away_at_the_start_ends_it_for_its_supervisor_to_start_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DatabaseScheduler, "all_as_schedule", give_up)

    with pytest.raises(OperationalError):
        start_beat()


# What it loads.


@in_earnest
def test_it_loads_every_entry_that_is_on_whatever_its_hour(hlf: Organisation) -> None:
    jobs = [
        create_cron_job(organisation=hlf, name=f"at {hour}", cron_expression=f"0 {hour} * * *", now=SLOT)
        for hour in range(24)
    ]
    off = PeriodicTask.objects.get(pk=jobs[7].periodic_task_id)
    off.enabled = False
    off.save()

    names = set(start_beat().schedule)

    assert {f"nightly:{job.pk}" for job in jobs} - names == {off.name}


@in_earnest
def test_an_entry_of_another_kind_is_loaded_too() -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.create(name="another", task="cronjobs.sweep", interval=hourly)

    assert "another" in start_beat().schedule


def test_it_is_the_scheduler_of_the_service() -> None:
    assert f"{NightScheduler.__module__}:{NightScheduler.__name__}" == settings.CELERY_BEAT_SCHEDULER
