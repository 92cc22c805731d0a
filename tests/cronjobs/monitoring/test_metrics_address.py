"""`/metrics`: what it costs, who may ask, and what the page about it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cronjobs.models import CronJob, Forecast, Run
from cronjobs.monitoring.metrics import MESSAGES, OPEN_RUNS
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Mentor, Organisation, Session
from mentors.record_text import verbatim
from tests.conftest import Certify, Enrol
from tests.cronjobs.conftest import Message, run_of
from tests.support.nights import plan_night, run_night
from tests.support.processes import PROJECT, free_port

pytestmark = pytest.mark.django_db

TOKEN = "of-this-test"
HOUR = timedelta(hours=1)


def scrape(client: Client, token: str = TOKEN, **headers: str) -> Any:
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}", **headers})


def families(client: Client) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(scrape(client).content.decode())}


@pytest.fixture(autouse=True)
def _token() -> Iterator[None]:
    with override_settings(METRICS_TOKEN=TOKEN):
        yield


@pytest.fixture
def job(hlf: Organisation, now: datetime) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=now - 72 * HOUR)


class TestItsCost:
    def test_a_scrape_asks_twelve_times_at_most_however_much_there_is(
        self, client: Client, certify: Certify, enrol: Enrol, message: Message, today: date, now: datetime
    ) -> None:
        for number in range(5):
            organisation = Organisation.objects.create(slug=f"o{number}", name=f"O{number}")
            for name in ("nightly", "weekly"):
                job = create_cron_job(organisation=organisation, name=name, now=now - 72 * HOUR)
                run_of(job, slot=now - 30 * HOUR)
            plan_night(organisation, today)
            message(organisation=organisation)
        certify(enrol(), expires_in=7)

        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = scrape(client)

        assert answer.status_code == 200
        assert len(queries) <= 12, "\n".join(query["sql"] for query in queries)

    @pytest.mark.parametrize(("query", "table"), [(OPEN_RUNS, "runitem"), (MESSAGES, "notification")])
    def test_neither_the_ledger_nor_the_messages_are_read_from_end_to_end(
        self, query: str, table: str, now: datetime
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # the tables of a test are small
            cursor.execute(f"EXPLAIN {query}", {"untouched_since": now})
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert re.search(rf"using \w+ on \w*{table}|Bitmap Heap Scan on \w*{table}", plan), plan
        assert not re.search(rf"Seq Scan on \w*{table}", plan), plan


class TestWhoMayAsk:
    def test_prometheus_is_told_in_the_format_it_asks_for(self, client: Client, job: CronJob) -> None:
        plain = scrape(client)
        open_metrics = scrape(client, Accept="application/openmetrics-text; version=1.0.0")

        assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
        assert open_metrics["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert open_metrics.content.endswith(b"# EOF\n")

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ø"]
    )
    def test_whoever_does_not_show_the_token_is_told_nothing(self, client: Client, authorization: str) -> None:
        answer = client.get("/metrics", headers={"Authorization": authorization} if authorization else {})

        assert (answer.status_code, answer.content) == (401, b"")
        assert answer["WWW-Authenticate"].startswith("Bearer")

    def test_without_a_token_set_there_is_no_such_address(self, client: Client) -> None:
        with override_settings(METRICS_TOKEN=""):
            assert scrape(client, token="").status_code == 404
            assert client.get("/metrics").status_code == 404

    def test_in_development_it_is_open_unless_a_token_is_set(self, client: Client) -> None:
        with override_settings(METRICS_TOKEN="", DEBUG=True):
            assert client.get("/metrics").status_code == 200
        with override_settings(DEBUG=True):
            assert client.get("/metrics").status_code == 401

    def test_it_is_only_read_never_kept_and_starts_no_session(self, client: Client) -> None:
        answer = scrape(client)

        assert "no-store" in answer["Cache-Control"]
        assert answer.cookies == {}
        assert "Cookie" not in answer.get("Vary", "")
        assert not Session.objects.exists()
        assert client.post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405

    @override_settings(SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=settings.SECURE_REDIRECT_EXEMPT)
    def test_it_is_not_redirected_to_https(self, client: Client) -> None:
        assert client.get("/admin/login/").status_code == 301
        assert scrape(client).status_code == 200

    def test_it_is_503_without_a_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = connection.get_connection_params() | {"host": "127.0.0.1", "port": free_port()}
        monkeypatch.setattr(connection, "get_connection_params", lambda: nowhere)

        answer = scrape(client)

        assert (answer.status_code, answer.content) == (503, b"")

    def test_nothing_personal_is_told(
        self, client: Client, hlf: Organisation, message: Message, certify: Certify, mentor: Mentor, today: date,
        now: datetime,
    ) -> None:  # fmt: skip
        create_cron_job(organisation=hlf, name="Liv Moe (liv@example.org)", now=now - 72 * HOUR)
        message(error=verbatim("Refused: liv@example.org"), status="failed")
        certify(mentor, expires_in=-1)
        run_night(hlf, today)

        told = scrape(client).content.decode()

        assert 'organisation="hlf"' in told
        assert not re.search(r"Liv|Moe|@|kari|M0", told)


def test_the_page_about_the_metrics_says_what_they_say_of_themselves(
    client: Client, job: CronJob, hlf: Organisation, today: date, now: datetime
) -> None:
    Organisation.objects.update(brake_minimum=0)
    run_of(job, slot=now - 30 * HOUR)
    plan_night(hlf, today)
    Run.objects.filter(finished_at=None).update(created_at=datetime.now(UTC))
    Forecast.objects.create(
        organisation=hlf, business_date=datetime.now(UTC).date(), expected={"pause": 1}, written_at=now
    )
    with override_settings(OPERATIONS_EMAIL="drift@example.org"):
        told = families(client)

    page = (PROJECT / "docs/metrics.md").read_text(encoding="utf-8")
    documented = {
        name: (set(re.findall(r"`(\w+)`", labels)), meaning)
        for name, labels, meaning in re.findall(r"^\| `(nattevakt_\w+)` \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    }

    assert documented == {
        name: ({label for sample in family.samples for label in sample.labels}, family.documentation)
        for name, family in told.items()
    }
