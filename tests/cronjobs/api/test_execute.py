"""Runs that are started through the API: at once, once, and without waiting for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from rest_framework.test import APIClient

from cronjobs import dispatch
from cronjobs.models import CronJob, Run, RunItem
from mentors.models import CoordinatorRole, Mentor, Organisation, User
from notifications.models import Notification
from tests.conftest import TODAY, Api
from tests.support.api import faults
from tests.support.nights import plan_night

pytestmark = pytest.mark.django_db

EXPIRY_JOB = "/api/v1/certifications/expiry-job/run"


@pytest.fixture
def execute(job: CronJob) -> str:
    return f"/api/v1/certification-cron/{job.pk}/execute"


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the queue a broker at an address where nothing listens."""
    app = Celery(broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.task_publish_retry = False
    app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}  # or it waits for six seconds
    monkeypatch.setattr(dispatch, "current_app", app)
    yield
    app.close()


class TestExecuting:
    def test_it_is_202_with_the_run_and_where_to_follow_it(
        self, client: APIClient, execute: str, job: CronJob, expired: Mentor
    ) -> None:
        answer = client.post(execute)

        run = answer.json()
        assert answer.status_code == 202
        assert answer["Location"] == f"http://testserver/api/v1/runs/{run['id']}"
        assert (run["cron_job"], run["trigger"], run["scheduled_for"]) == (job.pk, "manual", None)
        assert (run["business_date"], run["requested_by"], run["dry_run"]) == (str(TODAY), "olav", False)
        assert (run["actions"], run["status"], run["progress"]) == (["pause", "resume", "remind"], "running", 0)
        assert client.get(answer["Location"]).json() == run

    def test_it_is_409_with_the_id_of_the_open_run(
        self, client: APIClient, execute: str, hlf: Organisation, expired: Mentor
    ) -> None:
        open_run = plan_night(hlf, TODAY)

        answers = [client.post(execute), client.post(EXPIRY_JOB)]

        assert [answer.status_code for answer in answers] == [409, 409]
        assert {answer.json()["id"] for answer in answers} == {str(open_run.pk)}
        assert {answer.json()["errors"][0]["code"] for answer in answers} == {"run_is_open"}
        assert Run.objects.get() == open_run

    def test_a_dry_run_is_for_any_day_in_nobodys_way_and_does_nothing(
        self, client: APIClient, execute: str, hlf: Organisation, expired: Mentor
    ) -> None:
        open_run = plan_night(hlf, TODAY)
        items = RunItem.objects.count()
        in_a_year = TODAY + timedelta(days=365)

        answer = client.post(execute, {"dry_run": True, "date": str(in_a_year)})

        run = answer.json()
        assert (answer.status_code, run["status"], run["business_date"]) == (202, "succeeded", str(in_a_year))
        assert run["dry_run"] is True
        assert set(Run.objects.values_list("dry_run", "status")) == {(True, "succeeded"), (False, open_run.status)}
        assert (RunItem.objects.count(), Notification.objects.count()) == (items, 0)
        expired.refresh_from_db()
        assert expired.status == Mentor.Status.ACTIVE

    def test_today_may_be_named(self, client: APIClient, execute: str) -> None:
        assert client.post(execute, {"date": str(TODAY)}).status_code == 202

    @pytest.mark.parametrize(
        ("body", "attr", "code"),
        [
            ({"date": "2026-11-20"}, "date", "not_today"),
            ({"date": "2026-11-22", "dry_run": False}, "date", "not_today"),
            ({"date": "9999-12-31", "dry_run": True}, "date", "invalid"),
            ({"date": "0000-01-01", "dry_run": True}, "date", "invalid"),
            ({"date": "2026-02-30", "dry_run": True}, "date", "invalid"),
            ({"date": 20261121}, "date", "wrong_type"),
            ({"date": None}, "date", "null"),
            ({"dry_run": "true"}, "dry_run", "wrong_type"),
            ({"dry_run": None}, "dry_run", "null"),
            ({"dry-run": True}, "dry-run", "unknown_field"),
        ],
    )
    def test_what_is_wrong_is_named_and_runs_nothing(
        self, client: APIClient, execute: str, body: dict[str, Any], attr: str, code: str
    ) -> None:
        answer = client.post(execute, body)

        assert faults(answer) == (400, [(attr, code)])
        assert not Run.objects.exists()

    def test_it_is_accepted_while_the_broker_is_away(
        self, client: APIClient, execute: str, expired: Mentor, no_broker: None
    ) -> None:
        answer = client.post(execute)

        assert (answer.status_code, answer.json()["status"]) == (202, "running")
        assert answer["Location"].endswith(answer.json()["id"])
        assert RunItem.objects.pending().count() == 1


class TestTheExpiryJob:
    def test_it_pauses_and_resumes_and_reminds_nobody(self, client: APIClient, expired: Mentor) -> None:
        answer = client.post(EXPIRY_JOB, {"organisation": "hlf"})

        run = answer.json()
        assert (answer.status_code, run["actions"]) == (202, ["pause", "resume"])
        assert run["counts"]["pause"] == {"planned": 1, "done": 0, "skipped": 0, "failed": 0}
        assert answer["Location"].endswith(f"/api/v1/runs/{run['id']}")

    def test_a_dry_run_only_looks(self, client: APIClient, expired: Mentor) -> None:
        answer = client.post(EXPIRY_JOB, {"dry_run": True})

        assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
        assert not RunItem.objects.exists()

    def test_the_organisation_may_be_left_out_by_who_leads_only_one(
        self, client: APIClient, api: Api, olav: User, hlf: Organisation
    ) -> None:
        root = api(User.objects.create_superuser("root"))

        alone = [client.post(EXPIRY_JOB).json()["organisation"], root.post(EXPIRY_JOB).json()["organisation"]]
        nbf = Organisation.objects.create(slug="nbf", name="NBF")
        CoordinatorRole.objects.create(user=olav, organisation=nbf)

        assert alone == ["hlf", "hlf"]
        assert faults(client.post(EXPIRY_JOB)) == (400, [("organisation", "required")])
        assert faults(root.post(EXPIRY_JOB)) == (400, [("organisation", "required")])

    def test_it_is_for_who_leads_the_organisation(
        self, client: APIClient, api: Api, olav: User, kari: User, auditor: User, hlf: Organisation
    ) -> None:
        nbf = Organisation.objects.create(slug="nbf", name="NBF")
        unseen = client.post(EXPIRY_JOB, {"organisation": "nbf"})
        olav.roles.create(organisation=nbf, duty="auditor")

        assert faults(unseen) == (400, [("organisation", "does_not_exist")])
        assert client.post(EXPIRY_JOB, {"organisation": "nbf"}).status_code == 403
        assert api(kari).post(EXPIRY_JOB, {"organisation": "hlf"}).status_code == 403
        assert api(auditor).post(EXPIRY_JOB).status_code == 403
        assert not Run.objects.exists()

    @pytest.mark.parametrize("body", [{"date": "2026-11-21"}, {"organisation": "no such"}, {"dry_run": 1}])
    def test_what_is_wrong_is_400_and_named(self, client: APIClient, body: dict[str, Any]) -> None:
        answer = client.post(EXPIRY_JOB, body)

        assert answer.status_code == 400
        assert [error["attr"] for error in answer.json()["errors"]] == list(body)
