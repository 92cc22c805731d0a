"""Runs through the API: what is told of them, and what a person decides. Their items are in test_ledger.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs import nightly
from cronjobs.models import CronJob, Run
from cronjobs.starting import execute_expiry_check
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.api import by_token
from tests.support.nights import plan_night, run_night, work_night
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

URL = "/api/v1/runs"
REASON = {"reason": "The dates were wrong."}


@pytest.fixture
def held(hlf: Organisation, expired: Mentor) -> Run:
    """A run that waits for a person, because it would pause somebody."""
    hlf.brake_minimum = hlf.brake_percent = 0
    hlf.save()
    return plan_night(hlf, TODAY)


@pytest.fixture
def partial(hlf: Organisation, expired: Mentor) -> Run:
    """A closed run whose one item failed."""
    run = plan_night(hlf, TODAY)
    run.items.update(status="failed", attempts=3, error=verbatim("IntegrityError: bad row"))
    return work_night(run)


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["errors"][0]["code"], answer.json()["id"]


def test_a_run_is_shown_whole(client: APIClient, hlf: Organisation, job: CronJob, expired: Mentor) -> None:
    slot = NOW - timedelta(hours=11, minutes=30)
    run = plan_night(hlf, TODAY, cron_job=job, scheduled_for=slot, trigger=Run.Trigger.SCHEDULE)
    Run.objects.filter(pk=run.pk).update(started_at=NOW - timedelta(seconds=1.5))
    work_night(run, now=NOW)

    answer = client.get(f"{URL}/{run.pk}")

    nothing = {"planned": 0, "done": 0, "skipped": 0, "failed": 0}
    assert answer.json() == {
        "id": str(run.pk),
        "organisation": "hlf",
        "cron_job": job.pk,
        "business_date": "2026-11-21",
        "scheduled_for": "2026-11-20T23:30:00Z",
        "trigger": "schedule",
        "actions": ["pause", "resume", "remind"],
        "dry_run": False,
        "requested_by": "",
        "approved_by": "",
        "status": "succeeded",
        "counts": {"pause": nothing | {"planned": 1, "done": 1}, "resume": nothing, "remind": nothing},
        "already_handled": 0,
        "progress": 1.0,
        "started_at": "2026-11-21T10:59:58.500000Z",
        "finished_at": "2026-11-21T11:00:00Z",
        "duration_seconds": 1.5,
        "error": "",
        "cause": "",
        "deviation": "",
        "code_version": "development",
        "created_at": "2026-11-21T12:00:00Z",
    }
    assert client.get(URL).json()["results"] == [answer.json()]


def test_progress_is_the_share_that_is_no_longer_pending(
    client: APIClient, hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    for _ in range(4):
        certify(enrol(), expires_in=-1)
    run = plan_night(hlf, TODAY)
    first = run.items.order_by("pk").values_list("pk", flat=True)[0]
    run.items.filter(pk=first).update(status="done")

    one, [listed] = client.get(f"{URL}/{run.pk}").json(), client.get(URL).json()["results"]

    assert (one["progress"], listed["progress"]) == (0.25, 0.25)
    assert one["duration_seconds"] is None


@pytest.mark.parametrize("id", ["x", "1", "%00", "7a9c1f0e-0000-4000-8000-000000000000", "9" * 5000])
def test_a_run_that_there_is_not_is_404(client: APIClient, id: str) -> None:
    answers = [client.get(f"{URL}/{id}{part}") for part in ("", "/items", "/export")]
    answers += [client.post(f"{URL}/{id}/{act}", REASON) for act in ("approve", "reject", "undo", "retry")]

    assert {answer.status_code for answer in answers} == {404}


class TestScope:
    def test_every_role_of_the_organisation_sees_and_only_its_lead_decides(
        self, api: Api, kari: User, auditor: User, held: Run
    ) -> None:
        for user in (kari, auditor):
            client = api(user)
            assert client.get(URL).json()["count"] == 1
            assert client.get(f"{URL}/{held.pk}").status_code == 200
            for act in ("approve", "reject", "undo", "retry"):
                assert client.post(f"{URL}/{held.pk}/{act}", REASON).status_code == 403
        held.refresh_from_db()
        assert held.status == Run.Status.HELD

    def test_those_of_others_do_not_exist(self, client: APIClient, hlf: Organisation) -> None:
        other = run_night(Organisation.objects.create(slug="nbf", name="NBF"), TODAY)

        assert client.get(URL).json()["count"] == client.get(f"{URL}?organisation=nbf").json()["count"] == 0
        for part in ("", "/items", "/export"):
            assert client.get(f"{URL}/{other.pk}{part}").status_code == 404
        for act in ("approve", "reject", "undo", "retry"):
            assert client.post(f"{URL}/{other.pk}/{act}", REASON).status_code == 404


class TestListing:
    def test_each_filter_narrows_the_list(
        self, client: APIClient, hlf: Organisation, olav: User, job: CronJob, expired: Mentor
    ) -> None:
        nbf = Organisation.objects.create(slug="nbf", name="NBF")
        olav.roles.create(organisation=nbf)
        first = run_night(nbf, TODAY - timedelta(days=2))
        look = execute_expiry_check(organisation=hlf, dry_run=True, now=NOW - timedelta(days=1))
        last = plan_night(hlf, TODAY, now=NOW, cron_job=job, trigger=Run.Trigger.CATCH_UP, scheduled_for=NOW)

        def found(query: str) -> list[str]:
            return [row["id"] for row in client.get(f"{URL}?{query}").json()["results"]]

        ids = [str(run.pk) for run in (last, look, first)]
        assert found("") == found("ordering=-created_at") == ids
        assert found("ordering=created_at") == ids[::-1]
        assert found("organisation=hlf") == ids[:2]
        assert found("organisation=nbf") == ids[2:]
        assert found(f"cron_job={job.pk}") == found("trigger=catch_up") == found("status=running") == ids[:1]
        assert found("dry_run=true") == ids[1:2]
        assert found("dry_run=false") == [ids[0], ids[2]]
        assert found(f"business_date_from={TODAY}") == ids[:1]
        assert found(f"business_date_to={TODAY - timedelta(days=1)}") == ids[1:]

    @pytest.mark.parametrize(
        ("query", "attr"),
        [("status=green", "status"), ("trigger=cron", "trigger"), ("dry_run=1", "dry_run"), ("cron_job=x", "cron_job"),
         ("cron_job=" + "9" * 5000, "cron_job"), ("organisation=%00", "organisation"),
         ("business_date_from=tomorrow", "business_date_from"), ("ordering=status", "ordering"), ("date=1", "date")],
    )  # fmt: skip
    def test_a_query_that_is_wrong_is_refused_by_name(self, client: APIClient, query: str, attr: str) -> None:
        answer = client.get(f"{URL}?{query}")

        assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, [attr])

    def test_forty_cost_as_many_queries_as_ten(self, olav: User, hlf: Organisation) -> None:
        client = by_token(olav)

        def ask() -> Any:
            return client.get(f"{URL}?page_size=200")

        open_many(olav, range(10))
        ten = count_queries(ask)
        open_many(olav, range(10, 40))
        forty = count_queries(ask)

        assert forty == ten <= 8
        assert [row["status"] for row in ask().json()["results"]] == ["running"] * 40


def open_many(user: User, numbers: range) -> None:
    """Open a run in each of so many new organisations that the user leads."""
    for number in numbers:
        organisation = Organisation.objects.create(slug=f"many-{number}", name="One of many")
        user.roles.create(organisation=organisation)
        Run.objects.create(
            organisation=organisation, business_date=TODAY, trigger="manual", actions=["pause"], status="running",
            created_at=NOW, started_at=NOW, code_version="test",
        )  # fmt: skip


class TestDeciding:
    def test_an_approved_run_goes_on(self, client: APIClient, held: Run) -> None:
        answer = client.post(f"{URL}/{held.pk}/approve")

        held.refresh_from_db()
        assert (answer.status_code, answer.json()["status"]) == (200, "running")
        assert work_night(held).status == Run.Status.SUCCEEDED

    def test_a_rejected_run_pauses_nobody(self, client: APIClient, held: Run, expired: Mentor) -> None:
        answer = client.post(f"{URL}/{held.pk}/reject", REASON)

        expired.refresh_from_db()
        row = answer.json()
        assert (answer.status_code, row["status"], expired.status) == (200, "partial", "active")
        assert row["error"] == "Rejected by olav: The dates were wrong."
        assert row["counts"]["pause"]["skipped"] == 1

    def test_what_is_not_held_is_409(self, client: APIClient, hlf: Organisation) -> None:
        run = run_night(hlf, TODAY)

        approved, rejected = client.post(f"{URL}/{run.pk}/approve"), client.post(f"{URL}/{run.pk}/reject", REASON)

        assert refusal(approved) == refusal(rejected) == (409, "run_not_held", str(run.pk))

    def test_undoing_resumes_whom_the_run_paused(
        self, client: APIClient, hlf: Organisation, expired: Mentor, olav: User
    ) -> None:
        run = run_night(hlf, TODAY)

        undone, again = client.post(f"{URL}/{run.pk}/undo", REASON), client.post(f"{URL}/{run.pk}/undo", REASON)

        expired.refresh_from_db()
        change = StatusChange.objects.latest("pk")
        assert (undone.status_code, undone.json(), again.json()) == (200, {"resumed": 1}, {"resumed": 0})
        assert (expired.status, change.actor, str(change.reason)) == ("active", olav, "The dates were wrong.")

    def test_an_open_run_is_not_undone(self, client: APIClient, held: Run) -> None:
        assert refusal(client.post(f"{URL}/{held.pk}/undo", REASON)) == (409, "run_is_open", str(held.pk))

    def test_what_failed_is_tried_again(self, client: APIClient, partial: Run) -> None:
        answer = client.post(f"{URL}/{partial.pk}/retry")

        assert (answer.status_code, answer.json()["status"], answer.json()["progress"]) == (202, "running", 0)
        assert answer["Location"].endswith(f"{URL}/{partial.pk}")
        assert work_night(partial).status == Run.Status.SUCCEEDED

    def test_what_cannot_be_tried_again_is_409(self, client: APIClient, partial: Run, hlf: Organisation) -> None:
        green = run_night(hlf, TODAY)
        nothing = client.post(f"{URL}/{green.pk}/retry")
        client.post(f"{URL}/{partial.pk}/retry")

        assert nothing.status_code == 409
        assert nothing.json()["errors"][0]["code"] == "nothing_to_retry"

    def test_a_retry_beside_an_open_run_is_409_with_its_id(
        self, client: APIClient, partial: Run, hlf: Organisation, expired: Mentor
    ) -> None:
        open_run = plan_night(hlf, TODAY, actions=nightly.ALL_ACTIONS)

        answer = client.post(f"{URL}/{partial.pk}/retry")

        assert refusal(answer) == (409, "run_is_open", str(open_run.pk))

    @pytest.mark.parametrize("act", ["approve", "retry"])
    def test_there_is_nothing_to_say_about_it(self, client: APIClient, held: Run, act: str) -> None:
        told = client.post(f"{URL}/{held.pk}/{act}", {"reason": "I am in a hurry."})
        listed = client.post(f"{URL}/{held.pk}/{act}", [])

        held.refresh_from_db()
        assert (told.status_code, told.json()["errors"][0]["attr"]) == (400, "reason")
        assert (listed.status_code, held.status) == (400, Run.Status.HELD)

    def test_an_empty_object_is_nothing_too(self, client: APIClient, held: Run) -> None:
        assert client.post(f"{URL}/{held.pk}/approve", {}).status_code == 200

    @pytest.mark.parametrize("act", ["reject", "undo"])
    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "\0"}, {"reason": 1}, {"reason": "x" * 1001}])
    def test_a_decision_needs_a_reason(self, client: APIClient, held: Run, act: str, body: dict[str, Any]) -> None:
        answer = client.post(f"{URL}/{held.pk}/{act}", body)

        assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, ["reason"])
