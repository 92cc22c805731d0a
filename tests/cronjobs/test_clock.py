"""A clock that was ahead, and is right again: nothing waits for the times that it wrote, and it is told once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from time_machine import Traveller

import mentors.clock
from cronjobs import clock as clock_of
from cronjobs import heartbeats, sweep
from cronjobs.models import Component, CronJob, Heartbeat, Incident, Outage, Run, RunItem
from cronjobs.monitoring import incidents
from cronjobs.monitoring.problems import find_problems, last_nights
from cronjobs.monitoring.watchdog import Watchdog
from cronjobs.starting import execute_owed_slot, execute_slot, schedule_nightly_run
from cronjobs.tasks import sweep_up
from mentors.accounts.second_factor import CodeWrong, check_code, make_backup_codes
from mentors.clock import ClocksDiffer
from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from notifications.claims import LEASE
from notifications.models import HostBudget, Notification
from notifications.rates import reserve
from tests.conftest import NOW
from tests.cronjobs.conftest import SLOT, Expired, Message, run_of, subjects
from tests.support.nights import plan_night
from tests.support.queues import do, received
from tests.support.receiver import Receiver
from tests.support.second_factor import KEY, code_of, give_app

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("empty_queues"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise
]

MINUTE, HOUR, ONE_DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
AHEAD = 7 * ONE_DAY
REAL_DATABASE_NOW = mentors.clock.database_now  # which no test has put in its place yet


# What it wrote holds nothing up.


def test_a_night_is_made_up_though_a_later_slot_has_its_run(job: CronJob, expired: Expired, clock: Traveller) -> None:
    run_of(job, SLOT + AHEAD, created_at=SLOT + AHEAD)
    lapsed = expired(1)
    clock.move_to(SLOT + 5 * MINUTE)

    sweep_up()
    do(received("night"))

    assert Run.objects.get(scheduled_for=SLOT).status == "succeeded"
    assert Mentor.objects.get(pk=lapsed[0].pk).status == "paused"


def test_a_slot_that_was_missed_before_it_came_is_run_when_it_comes(job: CronJob, clock: Traveller) -> None:
    clock.move_to(SLOT + AHEAD + HOUR)
    sweep_up()
    assert Run.objects.get(scheduled_for=SLOT + ONE_DAY).status == "missed"

    clock.move_to(SLOT + ONE_DAY)
    sweep.sweep(now=SLOT + ONE_DAY + 4 * MINUTE)

    run = Run.objects.get(scheduled_for=SLOT + ONE_DAY)
    assert (run.status, run.created_at) == ("succeeded", SLOT + ONE_DAY + 4 * MINUTE)
    assert Run.objects.get(scheduled_for=SLOT + AHEAD).status == "succeeded"


def test_a_slot_that_was_run_before_it_came_is_run_again_when_it_comes(job: CronJob, expired: Expired) -> None:
    slot = SLOT + AHEAD
    early = execute_slot(job, slot=slot, now=slot)
    assert early
    incidents.look(now=NOW)
    lapsed = expired(1)

    run = execute_owed_slot(job, until=slot, now=slot)

    assert run
    assert execute_owed_slot(job, until=slot, now=slot) is None
    assert (run.scheduled_for, run.counts["pause"]["planned"]) == (early.scheduled_for, len(lapsed))
    [night] = last_nights(now=slot + 2 * HOUR)
    assert night.run == run
    early.refresh_from_db()
    assert early.status == "succeeded"


def test_a_slot_that_was_run_before_it_came_is_missed_if_nobody_runs_it_then(job: CronJob) -> None:
    slot = SLOT + AHEAD
    execute_slot(job, slot=slot, now=slot)
    incidents.look(now=NOW)

    assert execute_owed_slot(job, until=slot + 25 * HOUR, now=slot + 25 * HOUR)

    assert Run.objects.get(cron_job=job, scheduled_for=slot).status == "missed"


def test_a_slot_that_was_missed_in_truth_stays_so(job: CronJob) -> None:
    run_of(job, status="missed", created_at=SLOT + HOUR)

    assert execute_slot(job, slot=SLOT, now=SLOT + 2 * HOUR) is None


@pytest.mark.parametrize(
    ("fields", "next_attempt_at"),
    [
        ({"created_at": NOW + AHEAD, "next_attempt_at": NOW + AHEAD}, NOW),
        ({"created_at": NOW + HOUR, "next_attempt_at": NOW + 21 * HOUR}, NOW),
        ({"next_attempt_at": NOW + 21 * HOUR}, NOW),  # deferred by it
        ({"next_attempt_at": NOW + AHEAD, "attempts": 3}, NOW),
        ({"next_attempt_at": NOW + 6 * HOUR, "attempts": 3}, NOW + 6 * HOUR),
        ({"next_attempt_at": NOW + AHEAD, "attempts": 1, "status": "sending"}, NOW),
        ({"next_attempt_at": NOW + 15 * MINUTE, "attempts": 1, "status": "sending"}, NOW + 15 * MINUTE),
    ],
)
def test_messages_leave_at_once_and_what_rightly_waits_goes_on_waiting(
    message: Message, fields: dict[str, Any], next_attempt_at: Any
) -> None:
    row = message(**fields)

    incidents.look(now=NOW)

    row.refresh_from_db()
    assert row.next_attempt_at == next_attempt_at


def test_messages_wait_for_the_sending_hours_and_no_longer(hlf: Organisation, message: Message) -> None:
    night, opens_at = NOW + 12 * HOUR, NOW + 20 * HOUR
    rightly, too_long = message(next_attempt_at=opens_at), message(next_attempt_at=opens_at + ONE_DAY)

    incidents.look(now=night)

    assert {row.next_attempt_at for row in Notification.objects.filter(pk__in=[rightly.pk, too_long.pk])} == {opens_at}
    assert not Incident.objects.filter(kind="clock").exists()


def test_a_hosts_rate_is_reserved_from_now(settings: Any) -> None:
    settings.DELIVERY_RATES = {"*": timedelta(hours=1)}
    HostBudget.objects.create(host="mail.example", free_at=NOW + HOUR)  # rightly

    assert reserve("mail.example", 1, now=NOW).count == 0
    HostBudget.objects.update(free_at=NOW + AHEAD)
    assert reserve("mail.example", 1, now=NOW).count == 1
    assert HostBudget.objects.get().free_at == NOW + HOUR


def test_a_component_that_died_is_missed_though_it_was_heard_of_in_the_future(hlf: Organisation) -> None:
    for component in Component:
        heartbeats.record_heartbeat(component, now=NOW + AHEAD)
    Outage.objects.create(component="beat", from_at=NOW - MINUTE, until_at=NOW + AHEAD)

    incidents.look(now=NOW)
    found = {problem.key for problem in find_problems(now=NOW + 16 * MINUTE)}

    assert not Outage.objects.exists()
    assert {"component:beat", "component:watchdog"} <= found


def test_an_incident_that_ended_in_the_future_opens_again_now(job: CronJob) -> None:
    text = {"kind": "night", "key": f"night:{job.pk}", "title": verbatim("x")}
    Incident.objects.create(began_at=NOW, seen_at=NOW, ended_at=NOW + AHEAD, cleared_at=NOW + AHEAD, **text)
    run_of(job, status="failed")

    incidents.look(now=NOW)

    assert Incident.objects.filter(ended_at=None, key=f"night:{job.pk}").exists()


def test_an_incident_that_was_seen_in_the_future_ends_when_it_is_over(hlf: Organisation) -> None:
    text = {"kind": "delivery", "key": "delivery", "title": verbatim("x")}
    incident = Incident.objects.create(began_at=NOW, seen_at=NOW + AHEAD, notified_at=NOW + AHEAD, **text)

    incidents.look(now=NOW)

    incident.refresh_from_db()
    assert incident.ended_at == NOW


def test_a_run_that_is_stuck_is_sent_out_again(hlf: Organisation, expired: Expired) -> None:
    expired(1)
    run = plan_night(hlf, NOW.date(), now=NOW - HOUR)
    Run.objects.filter(pk=run.pk).update(started_at=NOW + AHEAD, resent_at=NOW + AHEAD)
    RunItem.objects.filter(run=run).update(at=NOW + AHEAD, attempts=1)

    incidents.look(now=NOW)
    sweep.sweep(now=NOW + 6 * MINUTE)
    do(received("night"))

    run.refresh_from_db()
    assert run.status == "succeeded"


def test_a_schedule_that_was_made_in_the_future_counts_from_now(job: CronJob) -> None:
    CronJob.objects.update(slots_from=NOW + AHEAD)

    incidents.look(now=NOW)

    assert CronJob.objects.get().slots_from == NOW


def test_nobody_is_locked_out_of_the_second_factor_for_as_long(kari: User, clock: Traveller) -> None:
    give_app(kari, key=KEY)
    [paper_code, *_others] = make_backup_codes(kari)
    code = code_of(KEY)  # of a telephone whose clock is right
    clock.move_to(NOW + AHEAD)
    for wrong in (code, "wrong"):
        with pytest.raises(CodeWrong):
            check_code(kari, wrong, now=NOW + AHEAD)
    clock.move_to(NOW)

    incidents.look(now=NOW)

    assert "second factor" in Incident.objects.get(kind="clock").details.in_english()
    clock.move_to(NOW + MINUTE)
    assert check_code(kari, code_of(KEY), now=NOW + MINUTE)
    assert check_code(kari, paper_code, now=NOW + MINUTE)


def test_the_watchdog_forgets_what_it_planned_by_it(hlf: Organisation, clock: Traveller) -> None:
    watchdog = Watchdog(now=NOW + AHEAD)
    watchdog.make_round(now=NOW + AHEAD)
    heartbeats.record_heartbeat(Component.BEAT, now=NOW - HOUR)
    Heartbeat.objects.filter(component="beat").update(at=NOW - HOUR)

    watchdog.make_round(now=NOW)
    watchdog.make_round(now=NOW + 4 * MINUTE)
    watchdog.wait_for_sweep(seconds=60)

    assert Incident.objects.filter(key="component:beat", ended_at=None).exists()


# It is told.


def test_it_is_told_once_and_over_when_nothing_lies_ahead(job: CronJob, alarms: Receiver) -> None:
    run_of(job)
    PeriodicTask.objects.filter(name__contains="sweep").update(last_run_at=NOW + AHEAD)
    HostBudget.objects.create(host="mail.example", free_at=NOW + AHEAD)

    incidents.look(now=NOW)
    incidents.look(now=NOW + MINUTE)

    assert subjects(alarms) == ["A clock was ahead", "All clear: A clock was ahead"]
    details = Incident.objects.get(kind="clock").details.in_english()
    assert details.startswith("Times that lie ahead of now were written, of these: ")
    assert "rates" in details


def test_records_that_it_wrote_keep_it_open_and_it_is_not_told_again(job: CronJob, alarms: Receiver) -> None:
    run_of(job)
    run_of(job, SLOT + AHEAD)

    for hours in range(4):
        incidents.look(now=NOW + hours * HOUR)
    CronJob.objects.update(enabled=False, pause_note="x")
    incidents.look(now=NOW + AHEAD)

    ours = [subject for subject in subjects(alarms) if "clock" in subject]
    assert ours == ["A clock was ahead", "All clear: A clock was ahead"]


def test_clocks_that_differ_by_less_than_five_minutes_are_right(job: CronJob, message: Message) -> None:
    soon = NOW + 4 * MINUTE
    run_of(job)
    heartbeats.record_heartbeat(Component.WORKERS, now=soon)
    row = message(created_at=soon, next_attempt_at=soon)

    incidents.look(now=NOW)

    row.refresh_from_db()
    assert row.next_attempt_at == soon
    assert not Incident.objects.filter(kind="clock").exists()
    assert timezone.now() < soon


# The watcher's own clock may be the wrong one.


@pytest.mark.parametrize("apart", [-10 * MINUTE, 10 * MINUTE])
def test_a_watcher_whose_clock_is_wrong_changes_nothing_and_says_so(
    hlf: Organisation, message: Message, alarms: Receiver, clock: Traveller, apart: timedelta, settings: Any
) -> None:
    job = schedule_nightly_run(organisation=hlf, now=NOW)
    lease = message(next_attempt_at=NOW + LEASE, attempts=1, status="sending")
    watchdog = Watchdog(now=NOW)
    with patch.object(mentors.clock, "database_now", lambda: NOW):
        clock.move_to(NOW + apart)
        now = timezone.now()
        with patch("cronjobs.monitoring.watchdog.connections"):  # a round that fails closes them
            rounds = [watchdog.make_round(now=now + number * MINUTE / 2) for number in range(3)]
        with pytest.raises(ClocksDiffer):
            incidents.look(now=now)
        with pytest.raises(ClocksDiffer):
            clock_of.mend(now=now)

    job.refresh_from_db()
    lease.refresh_from_db()
    assert (job.slots_from, lease.next_attempt_at) == (NOW, NOW + LEASE)
    assert (rounds, Incident.objects.count()) == ([False] * 3, 0)
    assert subjects(alarms) == ["The watchdog cannot look (ClocksDiffer)"]


def test_a_look_that_had_to_wait_for_long_takes_what_was_written_meanwhile_for_right(
    message: Message, clock: Traveller
) -> None:
    """PostgreSQL stood still for ten minutes after it began."""
    clock.move_to(NOW + 10 * MINUTE)
    lease = message(next_attempt_at=NOW + 10 * MINUTE + LEASE, attempts=1, status="sending")
    heartbeats.record_heartbeat(Component.WORKERS, now=NOW + 10 * MINUTE)

    incidents.look(now=NOW)

    lease.refresh_from_db()
    assert lease.next_attempt_at == NOW + 10 * MINUTE + LEASE
    assert Heartbeat.objects.get(component="workers").at == NOW + 10 * MINUTE
    assert not Incident.objects.filter(kind="clock").exists()


def test_the_databases_clock_is_asked_anew_within_a_transaction(db: None, clock: Traveller) -> None:
    first, second = REAL_DATABASE_NOW(), REAL_DATABASE_NOW()

    assert first < second
    assert first.tzinfo
