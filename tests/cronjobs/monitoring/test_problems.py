"""The problems that are found: of nights, components, messages, schedules; and what `/healthz/nightly` says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from time_machine import Traveller

from cronjobs import heartbeats, record_text
from cronjobs.models import Component, CronJob, Heartbeat, Incident, Outage, Run
from cronjobs.monitoring import incidents
from cronjobs.monitoring.problems import Problem, expect_components, find_problems, last_nights
from cronjobs.schedules.jobs import change_cron_job, create_cron_job
from cronjobs.starting import schedule_nightly_run
from cronjobs.tasks import sweep_up
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.record_text import RecordText, verbatim
from notifications.backlog import Backlog, find_backlog
from notifications.models import Notification
from notifications.record_text import BROKE, GATEWAY_SILENT, MAIL_SERVER_SAID, NOT_NOW
from tests.conftest import Desk
from tests.cronjobs.conftest import SLOT, run_of, subjects
from tests.cronjobs.monitoring.test_check_nightly import check
from tests.support.processes import free_port
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise
]

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - 48 * HOUR)


def fault_at(now: datetime) -> str:
    [night] = last_nights(now=now)
    return night.fault.in_english()


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, ""),
        ({"finished_at": SLOT + HOUR}, ""),
        ({"finished_at": SLOT + HOUR + timedelta(seconds=1)}, "It was closed late."),
        ({"status": "running", "finished_at": None}, "Its run is still running."),
        ({"status": "held", "finished_at": None}, "Its run is still held."),
        ({"status": "partial"}, "Its run is partial."),
        ({"status": "failed"}, "Its run is failed."),
        ({"status": "missed"}, "Its run is missed."),
    ],
)
def test_a_night_is_in_order_when_its_run_was_closed_green_in_time(
    job: CronJob, fields: dict[str, Any], fault: str
) -> None:
    run_of(job, **fields)

    assert fault_at(SLOT + 2 * HOUR) == fault


def test_a_slot_that_nobody_ran_is_wrong_once_its_time_has_passed(job: CronJob) -> None:
    run_of(job, SLOT - 24 * HOUR)

    assert fault_at(SLOT + HOUR - timedelta(seconds=1)) == ""
    assert fault_at(SLOT + HOUR) == "Nobody ran it."


def test_a_run_by_hand_before_a_slot_does_not_stand_for_it(job: CronJob) -> None:
    by_hand(job, SLOT - SECOND)

    assert fault_at(SLOT + 2 * HOUR) == "Nobody ran it."


# A night that was made good.


def by_hand(job: CronJob, created_at: datetime, /, **fields: Any) -> Run:
    """Write a run that a person has started, which was green unless `fields` say something else."""
    values = {
        "business_date": job.organisation.local_date(created_at), "created_at": created_at, "status": "succeeded",
        "finished_at": created_at + MINUTE, "actions": ["pause", "resume"],
    } | fields  # fmt: skip
    return Run.objects.create(organisation=job.organisation, trigger="manual", **values)


@pytest.fixture
def monthly(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="monthly", cron_expression="30 0 21 * *", now=SLOT - 48 * HOUR)


@pytest.mark.parametrize("status", ["failed", "partial", "missed", None])
def test_a_monthly_night_that_failed_is_over_once_a_later_run_was_green(monthly: CronJob, status: str | None) -> None:
    if status:
        run_of(monthly, status=status)
    assert fault_at(SLOT + 4 * HOUR)

    by_hand(monthly, SLOT + 3 * HOUR)

    assert fault_at(SLOT + 4 * HOUR) == fault_at(SLOT + 24 * 20 * HOUR) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "failed"},
        {"status": "running", "finished_at": None},
        {"dry_run": True},
        {"actions": ["remind"]},
        {"business_date": "2026-11-20"},
        {"created_at": SLOT + 20 * MINUTE},
    ],
)
def test_only_a_later_run_of_its_day_that_was_green_and_paused_makes_it_good(
    monthly: CronJob, fields: dict[str, Any]
) -> None:
    run_of(monthly, status="failed")

    by_hand(monthly, SLOT + 3 * HOUR, **fields)

    assert fault_at(SLOT + 4 * HOUR) == "Its run is failed."


@pytest.mark.parametrize(
    ("zone", "zone_of_job", "cron_expression", "slot", "day", "is_made_good"),
    [  # 00:30 in Tokyo on the 21st is still the 20th in Oslo; 20:00 UTC on the 20th is the 21st in Tokyo
        ("Europe/Oslo", "Asia/Tokyo", "30 0 * * *", "2026-11-20T15:30Z", "2026-11-20", True),
        ("Asia/Tokyo", "UTC", "0 20 * * *", "2026-11-20T20:00Z", "2026-11-20", False),
        ("Asia/Tokyo", "UTC", "0 20 * * *", "2026-11-20T20:00Z", "2026-11-21", True),
    ],
)
@pytest.mark.parametrize("was_run", [True, False])
def test_the_day_that_is_made_good_is_the_organisations_and_not_the_jobs(
    hlf: Organisation,
    zone: str,
    zone_of_job: str,
    cron_expression: str,
    slot: str,
    day: str,
    is_made_good: bool,
    was_run: bool,
) -> None:
    hlf.timezone = zone
    hlf.save()
    at = datetime.fromisoformat(slot)
    job = schedule_nightly_run(
        organisation=hlf, now=at - 20 * HOUR, timezone=zone_of_job, cron_expression=cron_expression
    )
    if was_run:
        run_of(job, at, status="failed")

    by_hand(job, at + HOUR, business_date=day)

    assert (fault_at(at + 3 * HOUR) == "") is is_made_good


def test_another_organisations_run_makes_nothing_good(monthly: CronJob, elsewhere: Chapter) -> None:
    run_of(monthly, status="failed")
    by_hand(CronJob(organisation=elsewhere.organisation), SLOT + 3 * HOUR)

    assert fault_at(SLOT + 4 * HOUR) == "Its run is failed."


# A job of every few minutes.


@pytest.fixture
def frequent(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="often", cron_expression="*/5 * * * *", now=SLOT - 48 * HOUR)


def slots_of(job: CronJob, first: int, last: int, **fields: Any) -> None:
    """Have every slot from the first minute to the last after SLOT closed, green unless `fields` say something else."""
    for minute in range(first, last + 1, 5):
        slot = SLOT + minute * MINUTE
        run_of(job, slot, **{"finished_at": slot + 10 * SECOND} | fields)


def test_a_job_of_every_five_minutes_is_in_order_as_soon_as_an_outage_is_over(frequent: CronJob) -> None:
    slots_of(frequent, -60, 0)
    slots_of(frequent, 5, 40, status="missed", finished_at=SLOT + 45 * MINUTE)
    faults: dict[datetime, str] = {}
    for minute in range(45, 181, 5):
        slot = SLOT + minute * MINUTE
        faults[slot] = fault_at(slot)
        run = run_of(frequent, slot, status="running", finished_at=None)
        faults[slot + SECOND] = fault_at(slot + SECOND)
        Run.objects.filter(pk=run.pk).update(status="succeeded", finished_at=slot + 2 * SECOND)
        faults[slot + 2 * SECOND] = fault_at(slot + 2 * SECOND)

    assert {moment: fault for moment, fault in faults.items() if fault} == {}


def test_one_whose_slots_are_all_missed_is_not_in_order(frequent: CronJob) -> None:
    slots_of(frequent, -60, 0)
    slots_of(frequent, 5, 180, status="missed")

    assert fault_at(SLOT + 60 * MINUTE) == ""
    assert fault_at(SLOT + 65 * MINUTE) == fault_at(SLOT + 180 * MINUTE) == "Its run is missed."


def test_one_whose_newest_run_failed_is_not_in_order_at_once(frequent: CronJob) -> None:
    slots_of(frequent, -60, 0)
    slots_of(frequent, 5, 5, status="failed")

    assert fault_at(SLOT + 6 * MINUTE) == "Its run is failed."


def test_a_job_that_was_just_made_or_changed_has_nothing_due(hlf: Organisation) -> None:
    create_cron_job(organisation=hlf, name="nightly", now=SLOT + HOUR)

    assert fault_at(SLOT + 3 * HOUR) == ""


def test_a_rare_job_is_asked_about_its_last_slot_however_long_ago(hlf: Organisation) -> None:
    create_cron_job(organisation=hlf, name="yearly", cron_expression="0 3 1 1 *", now=SLOT - 8000 * HOUR)

    [night] = last_nights(now=SLOT)

    assert (night.slot, night.fault.in_english()) == (datetime(2026, 1, 1, 2, tzinfo=UTC), "Nobody ran it.")


def test_a_job_that_is_switched_off_is_not_asked_about(job: CronJob) -> None:
    CronJob.objects.update(enabled=False)

    assert last_nights(now=SLOT + 2 * HOUR) == []


def test_an_expression_that_nobody_can_read_is_wrong(job: CronJob) -> None:
    CronJob.objects.update(cron_expression="nonsense")

    assert fault_at(SLOT + 2 * HOUR) == "Its cron expression cannot be read."


def test_a_run_that_is_closed_counts_at_once_and_one_that_is_open_when_it_is_due(job: CronJob) -> None:
    run_of(job, SLOT - 24 * HOUR)
    run = run_of(job, status="running", finished_at=None)
    assert fault_at(SLOT + HOUR / 6) == ""

    Run.objects.filter(pk=run.pk).update(status="failed", finished_at=SLOT + HOUR / 6)

    assert fault_at(SLOT + HOUR / 6) == "Its run is failed."


def test_a_newer_night_that_is_green_already_stands_for_the_job(job: CronJob) -> None:
    run_of(job, SLOT - 24 * HOUR, status="failed")
    run_of(job)

    assert fault_at(SLOT + HOUR / 2) == ""


# Problems.


def keys(problems: list[Problem], *, certain: bool = True) -> set[str]:
    return {problem.key for problem in problems if problem.unconfirmed is not certain}


def found(now: datetime, *, certain: bool = True) -> set[str]:
    return keys(find_problems(now=now), certain=certain)


def record_heartbeat(now: datetime, *components: Component) -> None:
    for component in components or Component:
        heartbeats.record_heartbeat(component, now=now)


def test_a_new_installation_has_no_problem(hlf: Organisation) -> None:
    assert find_problems(now=SLOT) == []


def test_a_night_that_was_late_is_one_only_while_nobody_knows(job: CronJob) -> None:
    run_of(job, finished_at=SLOT + 2 * HOUR)
    assert found(SLOT + 3 * HOUR) == {f"night:{job.pk}"}

    seen_at = SLOT + 2 * HOUR
    Incident.objects.create(kind="night", key=f"night:{job.pk}", title=verbatim("?"), began_at=SLOT, seen_at=seen_at)

    assert found(SLOT + 3 * HOUR) == set()


def test_a_held_run_whose_schedule_was_removed_is_one(job: CronJob) -> None:
    held = run_of(job, status=Run.Status.HELD, finished_at=None)
    job.delete()

    found = {problem.key for problem in find_problems(now=SLOT + 5 * HOUR)}

    assert f"run:{held.pk}" in found


def test_a_run_by_hand_that_does_not_end_is_one_unless_it_waits_for_a_person(hlf: Organisation) -> None:
    run = Run.objects.create(
        organisation=hlf, business_date="2026-11-21", trigger="manual", actions=["pause"], created_at=SLOT,
        status="running",
    )  # fmt: skip
    assert found(SLOT + HOUR) == set()
    assert found(SLOT + HOUR + SECOND) == {f"run:{run.pk}"}

    Run.objects.update(status="held")

    assert found(SLOT + HOUR + SECOND) == set()


def test_a_part_is_silent_after_fifteen_minutes(hlf: Organisation) -> None:
    record_heartbeat(SLOT - 15 * MINUTE)

    for component in Component:
        record_heartbeat(SLOT, *(set(Component) - {component}))
        Outage.objects.all().delete()

        assert found(SLOT - SECOND) == set()
        assert found(SLOT) == {f"component:{component}"}

        Heartbeat.objects.update(at=SLOT - 15 * MINUTE)


def test_only_the_first_part_that_is_silent_is_certain(hlf: Organisation) -> None:
    record_heartbeat(SLOT)

    assert found(SLOT + HOUR) == {"component:beat", "component:watchdog"}
    assert found(SLOT + HOUR, certain=False) == {"component:broker", "component:workers"}


def test_what_was_last_heard_of_seconds_before_beat_stopped_is_not_told_in_its_place(hlf: Organisation) -> None:
    record_heartbeat(SLOT, Component.BROKER, Component.WORKERS)
    record_heartbeat(SLOT + 20 * SECOND, Component.BEAT, Component.WATCHDOG)

    assert found(SLOT + 15 * MINUTE) == set()
    assert "component:beat" in found(SLOT + 15 * MINUTE + 20 * SECOND)


def test_parts_that_fell_silent_together_have_a_few_minutes_to_come_back(hlf: Organisation) -> None:
    record_heartbeat(SLOT)
    record_heartbeat(SLOT + 20 * MINUTE, Component.WATCHDOG, Component.WORKERS)  # the database was away, and is back

    assert found(SLOT + 20 * MINUTE) == set()
    assert found(SLOT + 23 * MINUTE) == {"component:beat"}


def test_a_part_that_has_come_back_gives_those_after_it_time(hlf: Organisation) -> None:
    record_heartbeat(SLOT)
    record_heartbeat(SLOT + HOUR, Component.BEAT)

    assert found(SLOT + HOUR) == set()
    assert found(SLOT + HOUR, certain=False) == {"component:broker", "component:workers", "component:watchdog"}
    Heartbeat.objects.filter(component=Component.BEAT).update(at=SLOT + HOUR + 15 * MINUTE)
    assert found(SLOT + HOUR + 15 * MINUTE) == {"component:broker", "component:watchdog"}


def test_a_part_that_was_never_heard_of_is_missed_only_by_who_expects_it(hlf: Organisation) -> None:
    record_heartbeat(SLOT, Component.BEAT, Component.BROKER)
    assert found(SLOT + 10 * MINUTE) == set()

    expect_components(now=SLOT)
    record_heartbeat(SLOT + HOUR, Component.BEAT, Component.BROKER)
    Outage.objects.all().delete()

    assert found(SLOT + HOUR) == {"component:workers"}


def test_a_deviation_is_one_until_the_next_run_or_for_two_days(hlf: Organisation, job: CronJob) -> None:
    run = run_of(job, deviation=verbatim("0 reminders, 40 were expected."), concluded_at=SLOT + HOUR / 2)
    now = SLOT + HOUR / 2
    assert found(now) == {f"deviation:{run.pk}"}
    CronJob.objects.update(enabled=False)  # so that the nights that follow are not missed
    PeriodicTask.objects.filter(cron_job=job).update(enabled=False)

    assert found(SLOT + 48 * HOUR - SECOND) == {f"deviation:{run.pk}"}
    assert found(SLOT + 48 * HOUR) == set()
    run_of(job, SLOT + 24 * HOUR, concluded_at=SLOT + 25 * HOUR)
    assert found(SLOT + 25 * HOUR) == set()


def test_beats_own_schedule_is_one_when_it_differs(job: CronJob) -> None:
    run_of(job)
    PeriodicTask.objects.filter(cron_job=job).update(enabled=False)

    [problem] = find_problems(now=SLOT + HOUR)

    assert (problem.kind, problem.key) == ("drift", f"drift:{job.pk}")
    assert problem.title.in_english() == "Beat has another schedule: hlf nightly"
    assert problem.details == record_text.ENTRY_OFF()


def test_an_organisation_with_active_mentors_and_no_schedule_that_is_on_is_one(
    hlf: Organisation, mentor: Mentor
) -> None:
    [problem] = find_problems(now=SLOT)
    assert (problem.kind, problem.key, problem.organisation) == ("schedule", f"unwatched:{hlf.pk}", hlf)
    assert problem.title.in_english() == "No schedule: hlf"

    job = create_cron_job(organisation=hlf, name="nightly", now=SLOT)
    assert found(SLOT) == set()
    change_cron_job(job, enabled=False, pause_note="Summer", now=SLOT)
    assert found(SLOT) == {f"unwatched:{hlf.pk}"}
    Mentor.objects.update(status="ended")
    assert found(SLOT) == set()


def test_it_is_told_shown_by_check_nightly_and_on_the_home_page_and_over_with_a_schedule(
    hlf: Organisation, mentor: Mentor, olav: User, desk: Desk, alarms: Receiver, clock: Traveller
) -> None:
    incidents.look(now=timezone.now())
    code, said = check()
    page = desk(olav).get("/admin/").content.decode()

    create_cron_job(organisation=hlf, name="nightly", now=timezone.now())
    clock.shift(60)
    incidents.look(now=timezone.now())

    assert subjects(alarms) == ["No schedule: hlf", "All clear: No schedule: hlf"]
    assert (code, "No schedule: hlf" in said) == (1, True)
    assert "Something is wrong: an organisation has no schedule that works" in page


def test_a_run_that_is_closed_and_never_concluded_is_one_after_an_hour(job: CronJob) -> None:
    run = run_of(job, finished_at=SLOT, concluded_at=None)
    assert found(SLOT + 59 * MINUTE) == set()
    assert found(SLOT + HOUR) == {f"conclude:{run.pk}"}

    Run.objects.update(concluded_at=SLOT)
    assert found(SLOT + HOUR) == set()


def test_a_conclusion_that_always_raises_is_told(
    job: CronJob, alarms: Receiver, clock: Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any, **_options: Any) -> None:
        raise ValueError

    clock.move_to(SLOT + HOUR / 2)
    run = run_of(job, finished_at=SLOT, concluded_at=None)
    monkeypatch.setattr("cronjobs.after_close._record", broken)

    sweep_up()

    assert subjects(alarms) == [f"The sweep fails: conclude_run Run {run.pk}"]


def test_the_questions_are_as_many_however_many_jobs_there_are(job: CronJob, django_assert_num_queries: Any) -> None:
    record_heartbeat(SLOT)
    for number in range(10):
        create_cron_job(organisation=job.organisation, name=str(number), now=SLOT - 48 * HOUR)

    with django_assert_num_queries(16):
        problems = find_problems(now=SLOT + 2 * HOUR)

    assert len([problem for problem in problems if problem.kind == "night"]) == 11


# Messages.


def a_message(olav: User, organisation: Organisation, **fields: Any) -> Notification:
    values = {"status": "queued", "next_attempt_at": SLOT, "created_at": SLOT, "channel": "email"} | fields
    return Notification.objects.create(
        dedupe_key=str(uuid4()), organisation=organisation, kind="late", recipient_user=olav, language="nb", **values
    )


def test_messages_do_not_leave_when_one_that_is_due_was_not_taken_up(hlf: Organisation, olav: User) -> None:
    a_message(olav, hlf)
    a_message(olav, hlf, next_attempt_at=SLOT + 8 * HOUR)  # waits for the morning

    assert find_backlog(now=SLOT + 30 * MINUTE - SECOND) is None
    assert find_backlog(now=SLOT + 30 * MINUTE) == Backlog(count=1, since=SLOT)
    assert found(SLOT + 30 * MINUTE) == {"delivery"}


@pytest.mark.parametrize(
    ("error", "count"),
    [
        (BROKE(error="ConnectionRefusedError"), 1),
        (MAIL_SERVER_SAID(answer="421 4.3.2 Service not available"), 1),
        (GATEWAY_SILENT(), 1),
        (NOT_NOW(answer="452 4.2.2 Mailbox full"), 0),
    ],
)
def test_what_is_tried_again_counts_unless_it_is_one_recipients_own_trouble(
    hlf: Organisation, olav: User, error: RecordText, count: int
) -> None:
    noon = SLOT + 12 * HOUR
    a_message(olav, hlf, created_at=noon, attempts=6, next_attempt_at=noon + 3 * HOUR, error=error)

    backlog = find_backlog(now=noon + HOUR)

    assert (backlog.count if backlog else 0) == count


def test_many_recipients_with_the_same_trouble_are_the_servers(hlf: Organisation, olav: User) -> None:
    noon = SLOT + 12 * HOUR
    disk_full = NOT_NOW(answer="452 4.3.1 Disk full")
    for _ in range(5):
        a_message(olav, hlf, created_at=noon, attempts=6, next_attempt_at=noon + 3 * HOUR, error=disk_full)

    assert find_backlog(now=noon + HOUR) == Backlog(count=5, since=noon)


def test_a_message_of_the_night_is_first_due_in_the_morning(hlf: Organisation, olav: User) -> None:
    opens_at = hlf.next_sending_time(SLOT)
    a_message(olav, hlf, attempts=2, next_attempt_at=opens_at + 20 * MINUTE, error=BROKE(error="TimeoutError"))

    assert opens_at > SLOT
    assert find_backlog(now=opens_at + 10 * MINUTE) is None
    assert find_backlog(now=opens_at + 30 * MINUTE) == Backlog(count=1, since=opens_at)


@pytest.mark.parametrize("status", ["sent", "failed", "cancelled"])
def test_what_is_settled_waits_for_nothing(hlf: Organisation, olav: User, status: str) -> None:
    a_message(olav, hlf, status=status, attempts=3, next_attempt_at=None)

    assert find_backlog(now=SLOT + 24 * HOUR) is None


class TestTheAddress:
    @pytest.fixture(autouse=True)
    def _two_hours_later(self, clock: Traveller) -> None:
        clock.move_to(SLOT + 2 * HOUR)

    def test_it_is_200_when_all_is_well(self, client: Client, job: CronJob) -> None:
        run_of(job)

        answer = client.get("/healthz/nightly")

        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "counts": {"ok": 1, "problem": 0}})

    def test_it_is_503_and_names_neither_organisation_nor_job(self, client: Client, job: CronJob) -> None:
        create_cron_job(organisation=job.organisation, name="second", now=SLOT + HOUR)

        answer = client.get("/healthz/nightly")

        assert answer.status_code == 503
        assert answer.json() == {"status": "problem", "counts": {"ok": 1, "problem": 1}}

    def test_it_says_which_and_why_to_a_monitor_that_shows_the_token(
        self, client: Client, job: CronJob, settings: Any
    ) -> None:
        settings.METRICS_TOKEN = "secret"
        create_cron_job(organisation=job.organisation, name="second", now=SLOT + HOUR)

        answer = client.get("/healthz/nightly", headers={"Authorization": "Bearer secret"})

        assert answer.status_code == 503
        assert answer.json() == {
            "status": "problem",
            "counts": {"ok": 1, "problem": 1},
            "jobs": [
                {
                    "organisation": "hlf",
                    "job": "nightly",
                    "slot": "2026-11-20T23:30:00Z",
                    "status": "problem",
                    "reason": "Nobody ran it.",
                },
                {"organisation": "hlf", "job": "second", "slot": None, "status": "ok", "reason": ""},
            ],
        }

    def test_it_asks_the_database_four_times_however_many_jobs_there_are(
        self, client: Client, job: CronJob, django_assert_num_queries: Any
    ) -> None:
        for number in range(20):
            create_cron_job(organisation=job.organisation, name=str(number), now=SLOT - 48 * HOUR)

        with django_assert_num_queries(4):
            client.get("/healthz/nightly")

    def test_it_is_503_without_a_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = connection.get_connection_params() | {"host": "127.0.0.1", "port": free_port()}
        monkeypatch.setattr(connection, "get_connection_params", lambda: nowhere)

        answer = client.get("/healthz/nightly")

        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})

    @pytest.mark.parametrize("token", ["", "wrong", "secret ", "sécret"])
    def test_a_wrong_token_opens_nothing(self, client: Client, job: CronJob, settings: Any, token: str) -> None:
        settings.METRICS_TOKEN = "secret"

        assert "jobs" not in client.get("/healthz/nightly", headers={"Authorization": f"Bearer {token}"}).json()

    def test_without_a_token_in_the_settings_none_is_right(self, client: Client, job: CronJob, settings: Any) -> None:
        settings.METRICS_TOKEN = ""

        assert "jobs" not in client.get("/healthz/nightly", headers={"Authorization": "Bearer "}).json()

    def test_a_superuser_is_told_names_once_the_second_factor_is_given(
        self, desk: Desk, job: CronJob, olav: User, settings: Any
    ) -> None:
        root = User.objects.create_superuser("root", password=None)

        assert "jobs" in desk(root).get("/healthz/nightly").json()
        assert "jobs" not in desk(olav).get("/healthz/nightly").json()
        settings.SECOND_FACTOR_REQUIRED = True
        assert "jobs" not in desk(root).get("/healthz/nightly").json()
