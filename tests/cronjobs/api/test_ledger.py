"""The items of a run through the API, and the file of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs.models import Action, Run, RunItem
from cronjobs.starting import execute_expiry_check
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.record_text import verbatim
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.api import by_token
from tests.support.nights import run_night
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

COLUMNS = [
    "run", "business_date", "action", "mentor_ref", "mentor_name", "type", "number", "expires_on", "stage", "status",
    "outcome", "error", "attempts", "at", "id", "dedupe_key", "mentor_id", "record", "row", "hash",
]  # fmt: skip


@pytest.fixture
def expiring(enrol: Enrol, certify: Certify) -> Mentor:
    """A mentor of Oslo who is reminded."""
    mentor = enrol(ref="O-1", name="Liv Moe")
    certify(mentor, expires_in=7, number="A1017")
    return mentor


@pytest.fixture
def expired(enrol: Enrol, certify: Certify, bergen: Chapter) -> Mentor:
    """A mentor of Bergen who is paused."""
    mentor = enrol(ref="B-1", name="Åse Bø", chapter=bergen)
    certify(mentor, expires_in=-1)
    return mentor


@pytest.fixture
def run(hlf: Organisation, expiring: Mentor, expired: Mentor) -> Run:
    return run_night(hlf, TODAY, now=NOW)


@pytest.fixture
def dry_run(hlf: Organisation, expiring: Mentor, expired: Mentor) -> Run:
    actions = [Action.PAUSE, Action.REMIND]
    return execute_expiry_check(organisation=hlf, actions=actions, dry_run=True, now=NOW)


def items_of(run: Run, query: str = "") -> str:
    return f"/api/v1/runs/{run.pk}/items?{query}"


def export_of(run: Run, query: str = "") -> str:
    return f"/api/v1/runs/{run.pk}/export?{query}"


def content_of(answer: Any) -> str:
    text: str = b"".join(answer.streaming_content).decode()
    return text


def lines_of(answer: Any) -> list[dict[str, str]]:
    """Return the lines of items; what closes the file is tested in test_evidence.py."""
    lines = csv.DictReader(io.StringIO(content_of(answer)))
    return [line for line in lines if line["action"] in Action.values]


def refs(answer: Any) -> list[str]:
    return [row["mentor_ref"] for row in answer.json()["results"]]


PAUSE = {
    "action": "pause",
    "mentor_ref": "B-1",
    "mentor_name": "Åse Bø",
    "type": "likepersonkurs",
    "number": "",
    "expires_on": None,
    "stage": None,
    "status": "done",
    "outcome": "paused",
    "error": "",
    "attempts": 0,
    "at": "2026-11-21T11:00:00Z",
}
REMINDER = PAUSE | {
    "action": "remind",
    "mentor_ref": "O-1",
    "mentor_name": "Liv Moe",
    "number": "A1017",
    "expires_on": "2026-11-28",
    "stage": 7,
    "outcome": "reminded",
}


class TestItems:
    def test_they_are_shown_whole_in_the_order_in_which_they_were_planned(self, client: APIClient, run: Run) -> None:
        answer = client.get(items_of(run))

        assert answer.json() == {"count": 2, "next": None, "previous": None, "results": [PAUSE, REMINDER]}

    def test_each_filter_narrows_them(self, client: APIClient, run: Run) -> None:
        assert refs(client.get(items_of(run, "action=pause"))) == ["B-1"]
        assert refs(client.get(items_of(run, "status=done"))) == ["B-1", "O-1"]
        assert refs(client.get(items_of(run, "status=failed"))) == []
        assert refs(client.get(items_of(run, "status=planned"))) == []
        assert refs(client.get(items_of(run, "mentor_ref=O-1"))) == ["O-1"]
        assert refs(client.get(items_of(run, "mentor_ref=O-1&action=pause"))) == []

    @pytest.mark.parametrize(
        ("query", "attr"),
        [("action=fire", "action"), ("status=green", "status"), ("mentor_ref=%00", "mentor_ref"),
         ("mentor_ref=" + "a" * 51, "mentor_ref"), ("mentor=1", "mentor"), ("page_size=0", "page_size")],
    )  # fmt: skip
    def test_a_query_that_is_wrong_is_refused_by_name(
        self, client: APIClient, run: Run, dry_run: Run, query: str, attr: str
    ) -> None:
        for one in (run, dry_run):
            answer = client.get(items_of(one, query))

            assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, [attr])

    def test_forty_cost_as_many_queries_as_ten(self, kari: User, hlf: Organisation, enrol: Enrol) -> None:
        client = by_token(kari)
        run = run_night(hlf, TODAY)

        def ask() -> Any:
            return client.get(items_of(run, "page_size=200"))

        add_items(run, [enrol() for _ in range(10)])
        ten = count_queries(ask)
        add_items(run, [enrol() for _ in range(30)])
        forty = count_queries(ask)

        assert forty == ten <= 8
        assert len(ask().json()["results"]) == 40


def add_items(run: Run, mentors: list[Mentor]) -> None:
    for mentor in mentors:
        RunItem.objects.create(
            run=run, action="remind", dedupe_key=f"remind:{mentor.pk}", mentor=mentor, status="done", at=NOW
        )


class TestScope:
    def test_a_chapters_coordinator_sees_no_trace_of_other_chapters(self, api: Api, kari: User, run: Run) -> None:
        client = api(kari)

        assert client.get(items_of(run)).json()["count"] == 1
        assert refs(client.get(items_of(run))) == ["O-1"]
        assert refs(client.get(items_of(run, "mentor_ref=B-1"))) == []
        assert refs(client.get(items_of(run, "action=pause"))) == []
        assert [line["mentor_ref"] for line in lines_of(client.get(export_of(run)))] == ["O-1"]

    def test_nor_of_what_a_dry_run_would_do_there(self, api: Api, kari: User, dry_run: Run) -> None:
        client = api(kari)

        assert client.get(items_of(dry_run)).json()["count"] == 1
        assert refs(client.get(items_of(dry_run))) == ["O-1"]
        assert refs(client.get(items_of(dry_run, "mentor_ref=B-1"))) == []
        assert [line["mentor_ref"] for line in lines_of(client.get(export_of(dry_run)))] == ["O-1"]

    def test_an_auditor_sees_the_organisations(self, api: Api, auditor: User, run: Run) -> None:
        assert refs(api(auditor).get(items_of(run))) == ["B-1", "O-1"]
        assert len(lines_of(api(auditor).get(export_of(run)))) == 2


class TestDryRuns:
    def test_what_it_would_do_is_planned_anew_by_every_reading(
        self, client: APIClient, dry_run: Run, enrol: Enrol, certify: Certify
    ) -> None:
        before = client.get(items_of(dry_run)).json()["results"]
        certify(enrol(ref="late"), expires_in=-3)

        after = client.get(items_of(dry_run))

        planned = {"status": "planned", "at": None}
        assert before == [
            PAUSE | planned | {"outcome": "Would be paused: these types have lapsed (rule 4)."},
            REMINDER | planned | {"outcome": "Would be reminded: it expires within the stage (rule 6)."},
        ]
        assert refs(after) == ["B-1", "late", "O-1"]
        assert not RunItem.objects.exists()

    def test_it_is_filtered_and_paged_like_any(self, client: APIClient, dry_run: Run) -> None:
        second = client.get(items_of(dry_run, "page=2&page_size=1"))

        assert (refs(second), second.json()["count"]) == (["O-1"], 2)
        assert refs(client.get(items_of(dry_run, "action=remind&status=planned"))) == ["O-1"]
        assert refs(client.get(items_of(dry_run, "mentor_ref=B-1"))) == ["B-1"]
        assert refs(client.get(items_of(dry_run, "status=done"))) == []

    def test_it_is_for_its_own_day(self, client: APIClient, hlf: Organisation, expiring: Mentor) -> None:
        in_a_month = execute_expiry_check(
            organisation=hlf, business_date=TODAY + timedelta(days=30), dry_run=True, now=NOW
        )

        [row] = client.get(items_of(in_a_month)).json()["results"]

        assert (row["action"], row["mentor_ref"]) == ("pause", "O-1")


class TestExport:
    def test_it_is_a_file_with_a_line_for_each_item(self, client: APIClient, run: Run) -> None:
        answer = client.get(export_of(run))

        name = f"hlf-2026-11-21-{run.pk}.csv"
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        header, pause, reminder, _run, _end = csv.reader(io.StringIO(content_of(answer)))
        item = run.items.get(action=Action.PAUSE)
        assert header == COLUMNS
        assert pause[:-1] == [
            str(run.pk), "2026-11-21", "pause", "B-1", "Åse Bø", "likepersonkurs", "", "", "", "done", "paused", "",
            "0", "2026-11-21T11:00:00+00:00", str(item.pk), item.dedupe_key, str(item.mentor_id), "", "1",
        ]  # fmt: skip
        assert reminder[7:9] == ["2026-11-28", "7"]

    def test_as_json_it_is_one_array(self, client: APIClient, run: Run, hlf: Organisation) -> None:
        empty = run_night(hlf, TODAY)

        answer = client.get(export_of(run, "format=json"))

        of_the_run = {"run": str(run.pk), "business_date": "2026-11-21"}
        assert answer["Content-Type"] == "application/json"
        pause, reminder, of_run, end = json.loads(content_of(answer))
        assert pause == pause | of_the_run | PAUSE
        assert reminder == reminder | of_the_run | REMINDER
        assert (of_run["action"], end["action"], end["record"]) == ("run", "end", {"runs": 1, "items": 2})
        rows = json.loads(content_of(client.get(export_of(empty, "format=json"))))
        assert [row["action"] for row in rows] == ["run", "end"]

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("=1+1", "'=1+1"),
            ("+47", "'+47"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\t'=1"),
            ("\r=1", "\r'=1"),
        ],
    )
    def test_nothing_in_it_is_taken_for_a_formula(
        self, client: APIClient, run: Run, expiring: Mentor, text: str, written: str
    ) -> None:
        Mentor.objects.filter(pk=expiring.pk).update(name=text, ref=text)

        line = lines_of(client.get(export_of(run)))[1]

        assert (line["mentor_name"], line["mentor_ref"]) == (written, written)

    def test_commas_quotes_and_line_breaks_stay_in_their_cell(
        self, client: APIClient, run: Run, expiring: Mentor
    ) -> None:
        RunItem.objects.filter(mentor=expiring).update(outcome=verbatim('a "b", c\nd'))

        assert lines_of(client.get(export_of(run)))[1]["outcome"] == 'verbatim {"text":"a \\"b\\", c\\nd"}'

    @pytest.mark.parametrize("query", [{"format": "xlsx"}, {"format": "CSV"}, {"action": "pause"}, {"page": "1"}])
    def test_what_there_is_not_is_400(self, client: APIClient, run: Run, query: dict[str, str]) -> None:
        answer = client.get(export_of(run), query)

        assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, list(query))
