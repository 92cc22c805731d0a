"""Beat: it shows that it works, survives whatever is broken around it, and loads every entry.

The clock is moved under beat's own objects; what it sends goes through the real Redis and is done by the tasks.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from celery import current_app
from django.conf import settings
from django.db import OperationalError, connection
from django.db.models import CharField, Value
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from cronjobs import heartbeats
from cronjobs.models import Component, CronJob, Heartbeat, Outage, Run
from cronjobs.schedules import beat
from cronjobs.schedules.beat import NightScheduler
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from tests.cronjobs.schedules.conftest import Facts, StartBeat, turn
from tests.support.processes import free_port
from tests.support.queues import do, received

pytestmark = pytest.mark.usefixtures("empty_queues")

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st
SECOND, MINUTE, ONE_DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 86_400))

# What it shows of itself.


def test_its_loop_is_heard_of_every_twenty_seconds_and_not_more_often(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    heard: list[datetime] = []

    clock.move_to(SLOT - 2 * MINUTE, tick=False)
    scheduler = start_beat()
    for _ in range(9):
        turn(scheduler)
        heard.append(Heartbeat.objects.get(component=Component.BEAT).at)
        clock.shift(5)

    assert heard == [SLOT - 2 * MINUTE + seconds * SECOND for seconds in (0, 0, 0, 0, 20, 20, 20, 20, 40)]


def test_a_message_that_the_broker_took_is_a_heartbeat_of_the_broker_and_a_line_with_the_runs_id(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat, facts: Facts
) -> None:
    clock.move_to(SLOT - MINUTE, tick=False)
    scheduler = start_beat()
    turn(scheduler)
    clock.move_to(SLOT + SECOND)
    turn(scheduler)
    do([message for message in received("night") if message[0] == "cronjobs.nightly"])

    [line] = facts("slot_sent")
    assert line["event"] == "slot sent"
    assert (line["cron_job"], line["slot"], line["run_id"]) == (job.pk, str(SLOT), str(Run.objects.get().pk))
    assert heartbeats.last_heard()[Component.BROKER] == SLOT + SECOND


def test_the_heartbeat_comes_before_what_is_sent_so_that_it_finds_the_silence(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    heartbeats.record_heartbeat(Component.BEAT, now=SLOT - 10 * MINUTE)
    heartbeats.record_heartbeat(Component.BROKER, now=SLOT - 10 * MINUTE)

    clock.move_to(SLOT + 300 * MINUTE, tick=False)
    turn(start_beat())
    do([message for message in received("night") if message[0] == "cronjobs.nightly"])

    run = Run.objects.get()
    assert (run.scheduled_for, run.trigger) == (SLOT, "catch_up")
    assert run.cause.in_english() == "Beat was silent from 2026-11-21 00:20:00 to 2026-11-21 05:30:00."


def test_an_entry_that_names_no_job_is_sent_all_the_same(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat, facts: Facts
) -> None:
    PeriodicTask.objects.filter(pk=job.periodic_task_id).update(args="[0]")

    clock.move_to(SLOT + SECOND, tick=False)
    turn(start_beat())

    [line] = facts("slot_unknown")
    assert line["error"] == "DoesNotExist"
    assert ("cronjobs.nightly", [0]) in received("night")


# What it survives.


def broken(scheduler: NightScheduler, port: int) -> None:
    """Have beat publish to another broker."""
    scheduler.connection = current_app.connection_for_write(
        f"redis://127.0.0.1:{port}/0", transport_options=beat.BROKER_PATIENCE
    )
    scheduler.producer = scheduler.Producer(scheduler.connection, auto_declare=False)


def test_a_publish_that_failed_is_logged_and_the_broker_is_not_heard_of(
    job: CronJob, caplog: pytest.LogCaptureFixture, clock: time_machine.Traveller, start_beat: StartBeat, facts: Facts
) -> None:
    heartbeats.record_heartbeat(Component.BROKER, now=SLOT - MINUTE)

    clock.move_to(SLOT + SECOND, tick=False)
    scheduler = start_beat()
    broken(scheduler, free_port())
    turn(scheduler)

    lines = facts("publish_failed")
    [ours] = [line for line in lines if line["entry"] == f"nightly:{job.pk}"]
    assert (ours["run_id"], ours["error"]) == (str(Run.id_of_slot(job.pk, SLOT)), "OperationalError")
    assert "127.0.0.1" not in caplog.text
    assert heartbeats.last_heard()[Component.BROKER] == SLOT - MINUTE
    assert heartbeats.last_heard()[Component.BEAT] == SLOT + SECOND
    assert Outage.objects.get().until_at == SLOT + SECOND


def test_a_broker_that_is_silent_does_not_stop_the_loop(
    job: CronJob, monkeypatch: pytest.MonkeyPatch, start_beat: StartBeat, facts: Facts
) -> None:
    monkeypatch.setattr(beat, "BROKER_PATIENCE", {"socket_timeout": 0.05, "socket_connect_timeout": 0.05})

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never answers
        scheduler = start_beat()
        broken(scheduler, silent.getsockname()[1])
        PeriodicTask.objects.filter(task="cronjobs.sweep").update(last_run_at=SLOT - ONE_DAY * 365)
        scheduler._initial_read = True
        turn(scheduler)

    assert facts("publish_failed")


def test_what_a_silent_broker_costs_at_most_leaves_the_loop_in_time() -> None:
    attempts = 1 + settings.CELERY_TASK_PUBLISH_RETRY_POLICY["max_retries"]

    assert attempts * sum(beat.BROKER_PATIENCE.values()) < heartbeats.TOLERANCE[Component.BEAT].total_seconds()


def test_a_beat_that_starts_without_a_broker_is_heard_of_itself(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    clock.move_to(SLOT + SECOND, tick=False)
    scheduler = start_beat()
    scheduler.connection = current_app.connection_for_write(f"redis://127.0.0.1:{free_port()}/0")
    turn(scheduler)

    assert heartbeats.last_heard() == {Component.BEAT: SLOT + SECOND}


def test_a_database_that_breaks_the_connection_does_not_end_it(
    job: CronJob, start_beat: StartBeat, facts: Facts
) -> None:
    scheduler = start_beat()
    turn(scheduler)
    first = Heartbeat.objects.get(component=Component.BEAT).at
    scheduler._heard_at.clear()
    break_the_connection()

    turn(scheduler)
    turn(scheduler)

    assert facts("beat_database_error")
    assert Heartbeat.objects.get(component=Component.BEAT).at > first


def break_the_connection() -> None:
    """End the server process of this test's connection, as a restart of the database does."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_while_the_schedule_cannot_be_read_it_goes_on_with_the_one_it_knows_and_asks_again_next_turn(
    job: CronJob, monkeypatch: pytest.MonkeyPatch, start_beat: StartBeat, facts: Facts
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
    assert facts("beat_database_error")


def test_while_the_database_is_away_what_is_due_is_sent_once_and_not_every_turn(
    job: CronJob, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    clock.move_to(SLOT - MINUTE, tick=False)
    scheduler = start_beat()
    turn(scheduler)
    received("night")
    clock.move_to(SLOT + SECOND)

    with monkeypatch.context() as away:
        away.setattr(DatabaseScheduler, "all_as_schedule", give_up)
        scheduler._last_full_sync -= ONE_DAY
        for _ in range(20):
            scheduler.tick()

    sent = [name for name, _args in received("night")]
    assert sent.count("cronjobs.nightly") == 1
    assert sent.count("cronjobs.sweep") <= 1


def give_up(_scheduler: object) -> None:
    raise OperationalError


def test_a_database_that_is_away_at_the_start_ends_it_for_its_supervisor_to_start_it_again(
    monkeypatch: pytest.MonkeyPatch, start_beat: StartBeat
) -> None:
    monkeypatch.setattr(DatabaseScheduler, "all_as_schedule", give_up)

    with pytest.raises(OperationalError):
        start_beat()


# A clock that was ahead.


def test_a_clock_that_was_ahead_holds_up_neither_the_sweep_nor_the_night(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    clock.move_to(SLOT - MINUTE, tick=False)
    PeriodicTask.objects.update(last_run_at=SLOT + 7 * ONE_DAY)
    scheduler = start_beat()
    turn(scheduler)

    clock.move_to(SLOT + 2 * MINUTE)
    turn(scheduler)

    sent = [name for name, _args in received("night")]
    assert (sent.count("cronjobs.nightly"), sent.count("cronjobs.sweep")) == (1, 1)


def test_a_clock_that_is_set_right_while_it_runs_holds_up_neither(
    job: CronJob, clock: time_machine.Traveller, start_beat: StartBeat
) -> None:
    clock.move_to(SLOT + 7 * ONE_DAY + MINUTE, tick=False)
    scheduler = start_beat()
    turn(scheduler)
    received("night")

    clock.move_to(SLOT - MINUTE)
    turn(scheduler)
    clock.move_to(SLOT + 2 * MINUTE)
    turn(scheduler)

    sent = [name for name, _args in received("night")]
    assert (sent.count("cronjobs.nightly"), sent.count("cronjobs.sweep")) == (1, 1)


# What it loads.


def test_an_entry_that_cannot_be_read_stops_no_other(job: CronJob, start_beat: StartBeat, facts: Facts) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    jobs = [
        create_cron_job(organisation=other, name=name, cron_expression=f"{name} 3 * * *", now=SLOT) for name in "12"
    ]
    unknown_zone, nonsense = (PeriodicTask.objects.get(cron_job=each).crontab_id for each in jobs)
    zone = Value("Europe/Asgard", output_field=CharField())
    CrontabSchedule.objects.filter(pk=unknown_zone).update(timezone=zone)
    CrontabSchedule.objects.filter(pk=nonsense).update(hour="x")

    names = set(start_beat().schedule)

    assert f"nightly:{job.pk}" in names
    assert not names & {f"nightly:{each.pk}" for each in jobs}
    assert len({line["entry"] for line in facts("entry_broken")}) == 2


def test_it_loads_every_entry_that_is_on_whatever_its_hour(hlf: Organisation, start_beat: StartBeat) -> None:
    jobs = [
        create_cron_job(organisation=hlf, name=f"at {hour}", cron_expression=f"0 {hour} * * *", now=SLOT)
        for hour in range(0, 24, 4)
    ]
    off = PeriodicTask.objects.get(pk=jobs[2].periodic_task_id)
    off.enabled = False
    off.save()

    names = set(start_beat().schedule)

    assert {f"nightly:{job.pk}" for job in jobs} - names == {off.name}


def test_an_entry_of_another_kind_is_loaded_too(start_beat: StartBeat) -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.create(name="another", task="cronjobs.sweep", interval=hourly)

    assert "another" in start_beat().schedule


def test_it_is_the_scheduler_of_the_service() -> None:
    assert f"{NightScheduler.__module__}:{NightScheduler.__name__}" == settings.CELERY_BEAT_SCHEDULER
