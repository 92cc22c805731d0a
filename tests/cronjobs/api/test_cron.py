"""The second contract: schedules through the API.

Changing them is in test_cron_changes.py, executing them in test_execute.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask
from rest_framework.test import APIClient

from cronjobs import sweep
from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import create_cron_job
from cronjobs.starting import execute_expiry_check
from mentors.models import Organisation, User
from tests.conftest import NOW, Api
from tests.support.api import by_token, faults
from tests.support.nights import run_night
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

URL = "/api/v1/certification-cron"
BODY = {"organisation": "hlf", "name": "evening", "cron_expression": "0 20 * * mon-fri"}


@pytest.fixture
def nbf(db: None) -> Organisation:
    """Another organisation, in which nobody of the cast has a role."""
    return Organisation.objects.create(slug="nbf", name="NBF")


def as_text(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def test_a_schedule_is_shown_whole(client: APIClient, job: CronJob, hlf: Organisation) -> None:
    run = run_night(hlf, NOW.date(), cron_job=job)
    execute_expiry_check(organisation=hlf, cron_job=job, dry_run=True, now=NOW + timedelta(hours=1))

    answer = client.get(f"{URL}/{job.pk}")

    assert answer.json() == {
        "id": job.pk,
        "organisation": "hlf",
        "name": "nightly",
        "cron_expression": "30 0 * * *",
        "schedule_text": "at 00:30",
        "timezone": "Europe/Oslo",
        "enabled": True,
        "pause_note": "",
        "paused_by": "",
        "paused_at": None,
        "alert_after_minutes": 60,
        "next_runs": [
            {"local": f"2026-11-{day}T00:30:00+01:00", "utc": f"2026-11-{day - 1}T23:30:00Z"} for day in range(22, 27)
        ],
        "last_run": {
            "id": str(run.pk),
            "status": "succeeded",
            "scheduled_for": None,
            "business_date": "2026-11-21",
            "finished_at": as_text(run.finished_at),
        },
        "warnings": [],
        "drift": [],
        "created_at": as_text(job.created_at),
        "updated_at": as_text(job.updated_at),
    }
    assert client.get(URL).json()["results"] == [answer.json()]


def test_a_time_that_a_clock_change_skips_is_warned_of(client: APIClient, job: CronJob) -> None:
    answer = client.patch(f"{URL}/{job.pk}", {"cron_expression": "30 2 * * *"})

    skipped, repeated = answer.json()["warnings"]
    assert "02:30 does not exist on 2027-03-28 in Europe/Oslo" in skipped
    assert "02:30 comes twice on 2027-10-31 in Europe/Oslo" in repeated


def test_the_last_run_is_the_latest_slot_of_those_written_down_at_once(client: APIClient, job: CronJob) -> None:
    days_later = NOW + timedelta(days=3)
    sweep.make_up_missed_slots(job, now=days_later)

    shown = client.get(f"{URL}/{job.pk}").json()["last_run"]

    assert (shown["status"], shown["scheduled_for"]) == ("succeeded", "2026-11-23T23:30:00Z")


class TestMaking:
    def test_it_takes_the_organisations_time_zone_and_is_on(self, client: APIClient, hlf: Organisation) -> None:
        answer = client.post(URL, BODY)

        row = answer.json()
        assert answer.status_code == 201
        assert (row["cron_expression"], row["schedule_text"]) == ("0 20 * * 1-5", "at 20:00, Monday through Friday")
        assert (row["timezone"], row["enabled"], row["alert_after_minutes"]) == ("Europe/Oslo", True, 60)
        assert answer["ETag"] == client.get(f"{URL}/{row['id']}")["ETag"]
        assert PeriodicTask.objects.get(name=f"nightly:{row['id']}").enabled

    def test_a_name_that_exists_is_409_with_the_id_of_its_job(self, client: APIClient, job: CronJob) -> None:
        other = client.post(URL, BODY).json()

        made = client.post(URL, BODY | {"name": "nightly"})
        renamed = client.patch(f"{URL}/{other['id']}", {"name": "nightly"})

        assert (made.status_code, made.json()["id"]) == (409, job.pk)
        assert (renamed.status_code, renamed.json()["id"]) == (409, job.pk)
        assert made.json()["errors"][0]["code"] == "cron_job_exists"

    def test_it_is_made_only_where_one_leads(
        self, client: APIClient, olav: User, hlf: Organisation, nbf: Organisation
    ) -> None:
        unseen = client.post(URL, BODY | {"organisation": "nbf"})
        olav.roles.create(organisation=nbf, duty="auditor")
        seen = client.post(URL, BODY | {"organisation": "nbf"})

        assert faults(unseen) == (400, [("organisation", "does_not_exist")])
        assert seen.status_code == 403
        assert not CronJob.objects.exists()

    @pytest.mark.parametrize(
        ("change", "attr"),
        [
            ({"cron_expression": "60 0 * * *"}, "cron_expression"),
            ({"cron_expression": "0 0 30 2 *"}, "cron_expression"),
            ({"cron_expression": "0 0 1 * 1"}, "cron_expression"),
            ({"cron_expression": "@reboot"}, "cron_expression"),
            ({"cron_expression": "٣ 0 * * *"}, "cron_expression"),
            ({"cron_expression": "\0"}, "cron_expression"),
            ({"cron_expression": "* " * 60}, "cron_expression"),
            ({"cron_expression": ["30 0 * * *"]}, "cron_expression"),
            ({"timezone": "Oslo"}, "timezone"),
            ({"timezone": "../../etc/passwd"}, "timezone"),
            ({"timezone": ""}, "timezone"),
            ({"timezone": None}, "timezone"),
            ({"name": ""}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"enabled": "no"}, "enabled"),
            ({"enabled": False}, "pause_note"),
            ({"enabled": False, "pause_note": " "}, "pause_note"),
            ({"alert_after_minutes": -1}, "alert_after_minutes"),
            ({"alert_after_minutes": 10**30}, "alert_after_minutes"),
            ({"alert_after_minutes": 2**31 - 1}, "alert_after_minutes"),
            ({"alert_after_minutes": True}, "alert_after_minutes"),
            ({"organisation": "\0"}, "organisation"),
            ({"organisation": 1}, "organisation"),
            ({"organisation": ["hlf"]}, "organisation"),
            ({"organisation": None}, "organisation"),
            ({"next_runs": []}, "next_runs"),
            ({"cron": "30 0 * * *"}, "cron"),
        ],
    )
    def test_what_is_wrong_is_400_and_named(
        self, client: APIClient, hlf: Organisation, change: dict[str, Any], attr: str
    ) -> None:
        answer = client.post(URL, BODY | change)

        assert answer.status_code == 400, answer.content
        assert [error["attr"] for error in answer.json()["errors"]] == [attr]
        assert not CronJob.objects.exists()

    def test_text_that_is_no_unicode_is_400(self, client: APIClient, hlf: Organisation) -> None:
        body = rb'{"organisation": "\ud800", "name": "\ud800", "cron_expression": "\ud800"}'

        answer = client.generic("POST", URL, body, content_type="application/json")  # type: ignore[arg-type]  # bytes

        assert answer.status_code == 400

    def test_the_reason_is_told(self, client: APIClient, hlf: Organisation) -> None:
        answer = client.post(URL, BODY | {"cron_expression": "0 0 30 2 *"})

        assert "This date never comes" in answer.json()["errors"][0]["detail"]


class TestScope:
    def test_every_role_of_the_organisation_sees_and_only_its_lead_changes(
        self, api: Api, kari: User, auditor: User, job: CronJob
    ) -> None:
        for user in (kari, auditor):
            client = api(user)
            assert [row["id"] for row in client.get(URL).json()["results"]] == [job.pk]
            assert client.get(f"{URL}/{job.pk}").status_code == 200
            assert client.get(f"{URL}/{job.pk}/runs").status_code == 200
            assert client.post(URL, BODY).status_code == 403
            assert client.patch(f"{URL}/{job.pk}", {"name": "x"}).status_code == 403
            assert client.post(f"{URL}/{job.pk}/execute").status_code == 403
            assert client.delete(f"{URL}/{job.pk}").status_code == 403

    def test_those_of_others_do_not_exist(self, client: APIClient, job: CronJob, nbf: Organisation) -> None:
        other = create_cron_job(organisation=nbf, name="nightly", now=NOW)

        assert client.get(f"{URL}?organisation=nbf").json()["count"] == 0
        assert client.get(f"{URL}/{other.pk}").status_code == 404
        assert client.get(f"{URL}/{other.pk}/runs").status_code == 404
        assert client.put(f"{URL}/{other.pk}", BODY).status_code == 404
        assert client.post(f"{URL}/{other.pk}/execute").status_code == 404
        assert client.delete(f"{URL}/{other.pk}").status_code == 404


class TestListing:
    def test_each_filter_narrows_the_list(
        self, client: APIClient, job: CronJob, hlf: Organisation, olav: User, nbf: Organisation
    ) -> None:
        olav.roles.create(organisation=nbf)
        off = create_cron_job(organisation=nbf, name="dawn", enabled=False, pause_note="Not yet.", now=NOW)

        def found(query: str) -> list[int]:
            return [row["id"] for row in client.get(f"{URL}?{query}").json()["results"]]

        assert found("") == [off.pk, job.pk]
        assert found("ordering=-name") == [job.pk, off.pk]
        assert found("ordering=id") == [job.pk, off.pk]
        assert found("organisation=hlf") == [job.pk]
        assert found("organisation=other") == []
        assert found("enabled=false") == [off.pk]

    @pytest.mark.parametrize(
        ("query", "attr"),
        [("enabled=1", "enabled"), ("organisation=%00", "organisation"), ("ordering=created_at", "ordering"),
         ("organization=hlf", "organization"), ("search=n", "search")],
    )  # fmt: skip
    def test_a_query_that_is_wrong_is_refused_by_name(self, client: APIClient, query: str, attr: str) -> None:
        answer = client.get(f"{URL}?{query}")

        assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, [attr])

    def test_forty_cost_as_many_queries_as_ten(self, olav: User, hlf: Organisation) -> None:
        client = by_token(olav)

        def ask() -> Any:
            return client.get(f"{URL}?page_size=200")

        make_jobs(hlf, range(10))
        ten = count_queries(ask)
        make_jobs(hlf, range(10, 40))
        forty = count_queries(ask)

        assert forty == ten <= 8
        rows = ask().json()["results"]
        assert len(rows) == 40
        assert {row["last_run"]["status"] for row in rows} == {"succeeded"}

    def test_the_runs_of_a_schedule_come_newest_first_missed_slots_included(
        self, client: APIClient, job: CronJob, hlf: Organisation
    ) -> None:
        by_hand = run_night(hlf, NOW.date(), cron_job=job)
        sweep.make_up_missed_slots(job, now=NOW + timedelta(days=3))
        run_night(hlf, NOW.date())

        rows = client.get(f"{URL}/{job.pk}/runs").json()["results"]

        assert [(row["status"], row["scheduled_for"]) for row in rows] == [
            ("succeeded", "2026-11-23T23:30:00Z"),
            ("missed", "2026-11-22T23:30:00Z"),
            ("missed", "2026-11-21T23:30:00Z"),
            ("missed", "2026-11-20T23:30:00Z"),
            ("succeeded", None),
        ]
        assert rows[-1]["id"] == str(by_hand.pk)


def make_jobs(organisation: Organisation, numbers: range) -> None:
    """Make schedules that have run."""
    for number in numbers:
        job = create_cron_job(organisation=organisation, name=f"job {number}", now=NOW)
        Run.objects.create(
            organisation=organisation, cron_job=job, business_date=NOW.date(), trigger="manual", actions=["pause"],
            status="succeeded", created_at=NOW, code_version="test",
        )  # fmt: skip
