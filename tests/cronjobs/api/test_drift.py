"""What the API makes of an edit of beat's own tables."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs.models import CronJob
from mentors.models import User
from tests.conftest import Api
from tests.support.entries import edit, edit_crontab, entry_of

pytestmark = pytest.mark.django_db

URL = "/api/v1/certification-cron"


@pytest.fixture
def client(api: Api, olav: User) -> APIClient:
    return api(olav)


def test_the_api_shows_it_refuses_changes_and_resolves_it(client: APIClient, job: CronJob) -> None:
    edit_crontab(job, minute="45")
    shown = client.get(f"{URL}/{job.pk}")
    refused = client.patch(f"{URL}/{job.pk}", {"alert_after_minutes": 5})

    resolved = client.post(f"{URL}/{job.pk}/resolve-drift", {"keep": "beat"}, HTTP_IF_MATCH=shown["ETag"])

    assert shown.json()["drift"] == ["Beat fires it at “45 0 * * *”, the job says “30 0 * * *”."]
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "schedule_drifted")
    assert shown.json()["drift"][0] in refused.json()["errors"][0]["detail"]
    assert (resolved.status_code, resolved.json()["drift"]) == (200, [])
    assert resolved.json()["cron_expression"] == "45 0 * * *"
    assert resolved["ETag"] != shown["ETag"]


def test_the_api_refuses_what_cannot_be_taken_over(client: APIClient, job: CronJob) -> None:
    entry_of(job).delete()

    answer = client.post(f"{URL}/{job.pk}/resolve-drift", {"keep": "beat"})

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "beats_schedule_unusable")
    assert client.get(f"{URL}/{job.pk}").json()["drift"] == ["Beat has no entry for the job."]


@pytest.mark.parametrize("body", [{}, {"keep": "both"}, {"keep": None}, {"keep": ["beat"]}, {"keep": 1}])
def test_the_api_wants_to_know_which_counts(client: APIClient, job: CronJob, body: dict[str, Any]) -> None:
    answer = client.post(f"{URL}/{job.pk}/resolve-drift", body)

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "keep")


def test_a_stale_version_resolves_nothing(client: APIClient, job: CronJob) -> None:
    stale = client.get(f"{URL}/{job.pk}")["ETag"]
    client.patch(f"{URL}/{job.pk}", {"alert_after_minutes": 5})
    edit(job, enabled=False)

    answer = client.post(f"{URL}/{job.pk}/resolve-drift", {"keep": "schedule"}, HTTP_IF_MATCH=stale)

    assert answer.status_code == 412
    assert not entry_of(job).enabled


def test_only_who_leads_resolves_it(api: Api, kari: User, auditor: User, job: CronJob) -> None:
    answers = [api(user).post(f"{URL}/{job.pk}/resolve-drift", {"keep": "schedule"}) for user in (kari, auditor)]

    assert [answer.status_code for answer in answers] == [403, 403]
