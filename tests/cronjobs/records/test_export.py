"""The runs of a time in one file."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs.models import Run
from cronjobs.records.file_check import check_file
from cronjobs.records.verification import check_exported
from cronjobs.starting import execute_expiry_check
from mentors.models import Chapter, Organisation, User
from tests.conftest import NOW, TODAY, Api
from tests.cronjobs.records.conftest import (
    Keep,
    content_of,
)
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db
TOMORROW = TODAY + timedelta(days=1)


def runs_in(answer: Any) -> list[str]:
    return [row["run"] for row in json.loads(content_of(answer)) if row["action"] == "run"]


def test_the_runs_of_a_time_are_one_file(
    client: APIClient, run: Run, keep: Keep, hlf: Organisation, elsewhere: Chapter
) -> None:
    nights = [run, *(run_night(hlf, TODAY + timedelta(days=days)) for days in (1, 2, 3))]
    run_night(elsewhere.organisation, TODAY)
    execute_expiry_check(organisation=hlf, dry_run=True, now=NOW)
    address = "/api/v1/runs/export"

    whole = client.get(address, {"format": "json"})
    some = client.get(
        address,
        {
            "format": "json",
            "business_date_from": str(TOMORROW),
            "business_date_to": str(TOMORROW),
            "organisation": "hlf",
        },
    )

    assert whole["Content-Disposition"] == 'attachment; filename="runs-2026-11-21.json"'
    assert runs_in(whole) == [str(night.pk) for night in nights]
    assert runs_in(some) == [str(nights[1].pk)]
    assert runs_in(client.get(address, {"format": "json", "organisation": "other"})) == []
    report = check_exported(keep(None))
    assert (report.faults, report.notes, report.runs) == ([], [], 4)


def test_a_chapters_coordinator_gets_of_it_what_is_hers(run: Run, keep: Keep, api: Api, kari: User) -> None:
    path = keep(None, by=api(kari))

    assert "Brien" not in path.read_text()
    assert (check_file(path)[0].faults, check_file(path)[0].items) == ([], 4)


@pytest.mark.parametrize("query", [{"format": "xlsx"}, {"status": "green"}, {"page": "1"}, {"from": "2026-11-21"}])
def test_what_there_is_not_is_400(client: APIClient, run: Run, query: dict[str, str]) -> None:
    answer = client.get("/api/v1/runs/export", query)

    assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, list(query))


def test_without_a_token_it_is_401(api: Api, run: Run) -> None:
    assert api().get("/api/v1/runs/export").status_code == 401
