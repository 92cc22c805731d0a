"""What Sentry is told of nights that end in other ways than those of tests/config/test_sentry.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from cronjobs import schedule
from cronjobs.models import CronJob, Run
from cronjobs.reporting.sentry import monitor_config
from mentors.models import Mentor, Organisation
from tests.conftest import Enrol
from tests.support.ingest import Ingest, sentry_ingest
from tests.support.processes import live_environment, running, wait_until
from tests.support.quoting import PERSONAL, make_job, quoting_the_row
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
def job(hlf: Organisation) -> CronJob:
    return make_job(hlf)


def test_a_plan_that_breaks_is_an_error_and_its_exception_is_reported_without_what_it_says(
    ingest: Ingest, job: CronJob, liv: Mentor
) -> None:
    with quoting_the_row("cronjobs_runitem", "INSERT"), worker_with_sentry(ingest):
        run = conclude_slot(job)
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


def test_a_run_that_is_held_and_approved_hours_later_took_that_long(ingest: Ingest, job: CronJob, liv: Mentor) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    longest = timedelta(minutes=monitor_config(job)["max_runtime"])

    with worker_with_sentry(ingest):
        current_app.send_task("cronjobs.nightly", [job.pk])
        wait_until(Run.objects.filter(status=Run.Status.HELD).exists, what="the brake")
        run = Run.objects.get()
        opened = wait_until(lambda: by_status(ingest), what="the first check-in")
        Run.objects.update(created_at=timezone.now() - longest - timedelta(hours=1))
        schedule.approve(run.pk, by="olav", now=timezone.now())
        wait_until(lambda: len(ingest.check_ins) == 2, what="the second")

    assert opened == [("in_progress", run.pk)]
    assert by_status(ingest) == [("in_progress", run.pk), ("ok", run.pk)]
    assert ingest.check_ins[1]["duration"] > longest.total_seconds() + 3600
    liv.refresh_from_db()
    assert liv.status == "paused"


def test_what_a_person_starts_has_none(ingest: Ingest, job: CronJob, liv: Mentor) -> None:
    command = ("python", "manage.py", "nightly", "--organisation", "hlf", "--inline", "--format", "json")

    with quoting_the_row("mentors_mentor", "UPDATE"):
        environment = live_environment(SENTRY_DSN=ingest.dsn, NIGHTLY_MAX_ATTEMPTS="1")
        with running(*command, env=environment) as nightly:
            assert nightly.popen.wait(60) == 1, nightly.output

    assert ingest.check_ins == []
    assert "A run of hlf (by-hand) is failed" in [event.get("message") for event in ingest.events]
    assert not PERSONAL.search(ingest.text)
