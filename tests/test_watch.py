"""Whether every night is in order, and what `/healthz/nightly` says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from cronjobs.models import CronJob, Run
from cronjobs.schedule import create_cron_job
from cronjobs.watch import last_nights
from mentors.models import Organisation
from tests.processes import free_port

pytestmark = pytest.mark.django_db

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st
HOUR = timedelta(hours=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - 48 * HOUR)


def run_of(job: CronJob, slot: datetime = SLOT, **fields: Any) -> Run:
    values = {"status": Run.Status.SUCCEEDED, "finished_at": slot + HOUR / 2} | fields
    return Run.objects.create(
        organisation=job.organisation, cron_job=job, scheduled_for=slot, business_date="2026-11-21",
        trigger=Run.Trigger.SCHEDULE, actions=["pause"], created_at=slot, **values,
    )  # fmt: skip


def fault_at(now: datetime) -> str:
    [night] = last_nights(now=now)
    return night.fault


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, ""),
        ({"finished_at": SLOT + HOUR}, ""),
        ({"finished_at": SLOT + HOUR + timedelta(seconds=1)}, "it was closed late"),
        ({"status": "running", "finished_at": None}, "its run is still running"),
        ({"status": "held", "finished_at": None}, "its run is still held"),
        ({"status": "partial"}, "its run is partial"),
        ({"status": "failed"}, "its run is failed"),
        ({"status": "missed"}, "its run is missed"),
    ],
)
def test_a_night_is_in_order_when_its_run_was_closed_green_in_time(
    job: CronJob, fields: dict[str, Any], fault: str
) -> None:
    run_of(job, **fields)

    assert fault_at(SLOT + 2 * HOUR) == fault


def test_a_slot_that_nobody_ran_is_amiss_once_its_time_has_passed(job: CronJob) -> None:
    run_of(job, SLOT - 24 * HOUR)

    assert fault_at(SLOT + HOUR - timedelta(seconds=1)) == ""
    assert fault_at(SLOT + HOUR) == "nobody ran it"


def test_a_run_by_hand_does_not_stand_for_a_slot(job: CronJob) -> None:
    Run.objects.filter(pk=run_of(job).pk).update(scheduled_for=None)

    assert fault_at(SLOT + 2 * HOUR) == "nobody ran it"


def test_a_job_that_was_just_made_or_changed_has_nothing_due(hlf: Organisation) -> None:
    create_cron_job(organisation=hlf, name="nightly", now=SLOT + HOUR)

    assert fault_at(SLOT + 3 * HOUR) == ""


def test_a_rare_job_is_asked_about_its_last_slot_however_long_ago(hlf: Organisation) -> None:
    create_cron_job(organisation=hlf, name="yearly", cron_expression="0 3 1 1 *", now=SLOT - 8000 * HOUR)

    [night] = last_nights(now=SLOT)

    assert (night.slot, night.fault) == (datetime(2026, 1, 1, 2, tzinfo=UTC), "nobody ran it")


def test_a_job_that_is_switched_off_is_not_asked_about(job: CronJob) -> None:
    CronJob.objects.update(enabled=False)

    assert last_nights(now=SLOT + 2 * HOUR) == []


def test_an_expression_that_nobody_can_read_is_amiss(job: CronJob) -> None:
    CronJob.objects.update(cron_expression="nonsense")

    assert fault_at(SLOT + 2 * HOUR) == "its cron expression cannot be read"


class TestTheAddress:
    @pytest.fixture(autouse=True)
    def _now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("config.health.timezone.now", lambda: SLOT + 2 * HOUR)

    def test_it_is_200_when_all_is_well(self, client: Client, job: CronJob) -> None:
        run_of(job)

        answer = client.get("/healthz/nightly")

        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert [row["status"] for row in answer.json()["jobs"]] == ["ok"]

    def test_it_is_503_and_says_which_and_why(self, client: Client, job: CronJob) -> None:
        create_cron_job(organisation=job.organisation, name="second", now=SLOT + HOUR)

        answer = client.get("/healthz/nightly")

        assert answer.status_code == 503
        assert answer.json() == {
            "status": "amiss",
            "jobs": [
                {
                    "organisation": "hlf",
                    "job": "nightly",
                    "slot": "2026-11-20T23:30:00Z",
                    "status": "amiss",
                    "reason": "nobody ran it",
                },
                {"organisation": "hlf", "job": "second", "slot": None, "status": "ok", "reason": ""},
            ],
        }

    def test_it_asks_the_database_twice_however_many_jobs_there_are(
        self, client: Client, job: CronJob, django_assert_num_queries: Any
    ) -> None:
        for number in range(20):
            create_cron_job(organisation=job.organisation, name=str(number), now=SLOT - 48 * HOUR)

        with django_assert_num_queries(2):
            client.get("/healthz/nightly")

    def test_it_is_503_without_a_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = connection.get_connection_params() | {"host": "127.0.0.1", "port": free_port()}
        monkeypatch.setattr(connection, "get_connection_params", lambda: nowhere)

        answer = client.get("/healthz/nightly")

        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "jobs": []})
