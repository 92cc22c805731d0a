"""What Sentry is told of nights that end in other ways than those of tests/config/test_sentry.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from cronjobs import starting
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob, Run
from cronjobs.reporting.sentry import monitor_config
from mentors.models import Mentor, Organisation, User
from tests.conftest import Enrol
from tests.support.ingest import Ingest, sentry_ingest
from tests.support.nights import plan_night
from tests.support.processes import live_environment, running, wait_until, web
from tests.support.quoting import PERSONAL, make_job, post, quoting_the_row
from tests.support.sentry import by_status, conclude_slot, worker_with_sentry

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    with sentry_ingest() as ingest:
        yield ingest


@pytest.fixture
def liv(enrol: Enrol, course: Any) -> Mentor:
    """A mentor whose certification has lapsed: the next run pauses her."""
    mentor = enrol(name="Liv Moe", email="liv@example.org", phone="+4791234567")
    mentor.certifications.create(type=course, number="Slottsplassen 1", issued_on="2020-01-01", expires_on="2021-01-01")
    return mentor


@pytest.fixture
def due_job(hlf: Organisation) -> CronJob:
    return make_job(hlf)


def test_a_plan_that_breaks_is_an_error_and_its_exception_is_reported_without_what_it_says(
    ingest: Ingest, due_job: CronJob, liv: Mentor
) -> None:
    with quoting_the_row("cronjobs_runitem", "INSERT"), worker_with_sentry(ingest):
        run = conclude_slot(due_job)
        wait_until(lambda: len(ingest.events) == 2, what="both events")

    assert by_status(ingest) == [("in_progress", run.pk), ("error", run.pk)]
    exceptions = [value for event in ingest.events for value in event.get("exception", {}).get("values", ())]
    assert exceptions[-1]["type"] == "ProgrammingError"
    assert exceptions[-1]["value"] == "django.db.utils.ProgrammingError P0001"
    assert "ledger.py" in str(exceptions[-1]["stacktrace"])
    assert {event["tags"]["run_id"] for event in ingest.events} == {str(run.pk)}
    assert not PERSONAL.search(ingest.text)


def test_missed_slots_are_errors_that_never_began_and_the_newest_is_made_up(
    ingest: Ingest, hlf: Organisation, liv: Mentor
) -> None:
    make_job(hlf, slots=3)

    with worker_with_sentry(ingest):
        current_app.send_task("cronjobs.sweep")
        concluded = Run.objects.filter(concluded_at__isnull=False)
        wait_until(lambda: concluded.count() == 3, what="the end of all three")

    *missed, made_up = Run.objects.order_by("scheduled_for")
    assert [run.status for run in (*missed, made_up)] == ["missed", "missed", "succeeded"]
    told = by_status(ingest)
    assert [item for item in told if item[1] == made_up.pk] == [("in_progress", made_up.pk), ("ok", made_up.pk)]
    assert {item for item in told if item[1] != made_up.pk} == {("error", run.pk) for run in missed}
    assert len(told) == 4
    assert {check_in["duration"] for check_in in ingest.check_ins if check_in["status"] == "error"} == {None}


def test_a_run_that_is_held_and_approved_hours_later_took_that_long(
    ingest: Ingest, due_job: CronJob, liv: Mentor
) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    longest = timedelta(minutes=monitor_config(due_job)["max_runtime"])

    with worker_with_sentry(ingest):
        current_app.send_task("cronjobs.nightly", [due_job.pk])
        wait_until(Run.objects.filter(status=Run.Status.HELD).exists, what="the brake")
        run = Run.objects.get()
        opened = wait_until(lambda: by_status(ingest), what="the first check-in")
        Run.objects.update(created_at=timezone.now() - longest - timedelta(hours=1))
        starting.approve(run.pk, by="olav", now=timezone.now())
        wait_until(lambda: len(ingest.check_ins) == 2, what="the second")

    assert opened == [("in_progress", run.pk)]
    assert by_status(ingest) == [("in_progress", run.pk), ("ok", run.pk)]
    assert ingest.check_ins[1]["duration"] > longest.total_seconds() + 3600
    liv.refresh_from_db()
    assert liv.status == "paused"


def test_what_a_person_starts_has_none(ingest: Ingest, due_job: CronJob, liv: Mentor) -> None:
    command = ("python", "manage.py", "nightly", "--organisation", "hlf", "--inline", "--format", "json")

    with quoting_the_row("mentors_mentor", "UPDATE"):
        environment = live_environment(SENTRY_DSN=ingest.dsn, NIGHTLY_MAX_ATTEMPTS="1")
        with running(*command, env=environment) as nightly:
            assert nightly.popen.wait(60) == 1, nightly.output

    assert ingest.check_ins == []
    assert "A run of hlf (by-hand) is failed" in [event.get("message") for event in ingest.events]
    assert not PERSONAL.search(ingest.text)


def test_a_held_run_that_a_person_rejects_is_closed_by_the_web_server(
    ingest: Ingest, due_job: CronJob, liv: Mentor, olav: User
) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    run = plan_night(
        Organisation.objects.get(),
        timezone.now().date(),
        now=timezone.now(),
        cron_job=due_job,
        scheduled_for=latest_slot("0 0 * * *", "Europe/Oslo", now=timezone.now()),
        trigger=Run.Trigger.SCHEDULE,
    )

    with web(SENTRY_DSN=ingest.dsn) as address:
        status = post(f"{address}/api/v1/runs/{run.pk}/reject", olav, {"reason": "Liv Moe has renewed"})

    assert (run.status, status) == ("held", 200)
    assert by_status(ingest) == [("error", run.pk)]
    assert [event["message"] for event in ingest.events] == [f"A run of hlf (nightly-{due_job.pk}) is partial"]
    assert not PERSONAL.search(ingest.text)


def test_an_error_of_beat_arrives_and_beat_itself_checks_nothing_in(ingest: Ingest, due_job: CronJob) -> None:
    beat = ("celery", "-A", "config", "--quiet", "beat")
    with running(*beat, env=live_environment(SENTRY_DSN=ingest.dsn)) as process:
        process.wait_for("slot_sent")
        process.stop()
    at_work = list(ingest.items)
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(days=2))  # it is due again
    unreachable = live_environment(SENTRY_DSN=ingest.dsn, REDIS_URL="redis://:secret@127.0.0.1:1/0")
    with running(*beat, env=unreachable):
        (event, *_) = wait_until(lambda: ingest.events, what="the event")

    assert at_work == []
    assert ingest.check_ins == []
    assert event["level"] in {"error", "fatal"}  # of the message that it could not send, or of its own end
    assert "secret" not in ingest.text
