"""What Sentry is told: each slot by what its run really did, each error by where it was, and nothing of any person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from config import sentry
from cronjobs.models import CronJob
from cronjobs.reporting.sentry import monitor_config
from mentors.models import Mentor, Organisation, User
from tests.conftest import Enrol
from tests.support.ingest import Ingest, parse_envelope, sentry_ingest
from tests.support.processes import wait_until, web
from tests.support.quoting import PERSONAL, make_job, post, quoting_the_row
from tests.support.sentry import by_status, conclude_slot, worker_with_sentry

processes = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


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


class TestCheckIns:
    pytestmark = processes
    # More of them are in tests/acceptance/test_sentry.py.

    def test_a_good_run_is_opened_when_it_is_claimed_and_closed_as_ok(
        self, ingest: Ingest, due_job: CronJob, liv: Mentor
    ) -> None:
        with worker_with_sentry(ingest):
            run = conclude_slot(due_job)

        assert run.status == "succeeded"
        assert by_status(ingest) == [("in_progress", run.pk), ("ok", run.pk)]
        opened, closed = ingest.check_ins
        assert opened["monitor_slug"] == closed["monitor_slug"] == f"nightly-{due_job.pk}"
        assert opened["monitor_config"] == {
            "schedule": {"type": "crontab", "value": "0 0 * * *"},
            "timezone": "Europe/Oslo",
            "checkin_margin": 15,
            "max_runtime": 45,
            "failure_issue_threshold": 1,
            "recovery_threshold": 1,
        }
        assert (opened["environment"], opened["release"]) == ("tests", "v1")
        assert run.finished_at
        assert closed["duration"] == pytest.approx((run.finished_at - run.created_at).total_seconds())
        assert ingest.events == []
        assert not PERSONAL.search(ingest.text)

    def test_a_run_that_failed_in_part_is_an_error_and_an_event(
        self, ingest: Ingest, due_job: CronJob, liv: Mentor
    ) -> None:
        with quoting_the_row("mentors_mentor", "UPDATE"), worker_with_sentry(ingest, attempts=1):
            run = conclude_slot(due_job)

        assert run.status == "failed"
        assert "Liv Moe" in run.items.get().error.in_english()  # so there was something to be kept back
        assert by_status(ingest) == [("in_progress", run.pk), ("error", run.pk)]
        (event,) = ingest.events
        assert event["message"] == f"A run of hlf (nightly-{due_job.pk}) is failed"
        assert event["fingerprint"] == ["run", "hlf", f"nightly-{due_job.pk}"]
        assert event["level"] == "error"
        facts = {"run_id": str(run.pk), "organisation": "hlf", "job": f"nightly-{due_job.pk}", "status": "failed"}
        assert event["tags"].items() >= facts.items()
        assert event["contexts"]["run"]["counts"]["pause"]["failed"] == 1
        assert not PERSONAL.search(ingest.text)


class TestErrors:
    pytestmark = processes

    def test_an_error_of_the_web_server_says_where_and_not_who(self, ingest: Ingest, liv: Mentor, olav: User) -> None:
        with quoting_the_row("mentors_mentor", "UPDATE"), web(SENTRY_DSN=ingest.dsn) as address:
            url = f"{address}/api/v1/mentors/{liv.pk}/pause"
            status = post(url, olav, {"reason": "Liv Moe has moved to Slottsplassen 1"})
            assert status == 500
            (event,) = wait_until(lambda: ingest.events, what="the event")

        assert event["request"] == {"method": "POST"}
        assert "user" not in event
        assert "mentors" in event["transaction"]
        assert re.fullmatch("[0-9a-f]{32}", event["tags"]["request_id"])
        assert {value["value"] for value in event["exception"]["values"]} <= {
            "django.db.utils.ProgrammingError P0001",
            "psycopg.errors.RaiseException P0001",
        }
        assert "'vars':" not in str(event["exception"])
        assert not PERSONAL.search(ingest.text)


class TestReports:
    """What is taken out, apart from what the processes above happen to send."""

    def test_everything_but_the_kind_of_an_error_and_its_place_is_taken_out(self) -> None:
        event = {
            "user": {"email": "liv@example.org"},
            "request": {
                "method": "POST",
                "url": "https://nattevakt.example.org/a/token/",
                "query_string": "name=Liv",
                "data": {"name": "Liv"},
                "cookies": {"sessionid": "Liv"},
                "headers": {"Authorization": "Liv"},
                "env": {"REMOTE_ADDR": "Liv"},
            },
            "extra": {"sys.argv": ["manage.py", "issue_token", "liv@example.org"], "celery-job": {"args": [1]}},
            "exception": {"values": [{"type": "ValueError", "value": "Liv"}, {"type": "KeyError", "value": "Liv"}]},
        }
        error = KeyError("Liv")
        error.__cause__ = ValueError("Liv")

        sent = sentry.before_send(event, {"exc_info": (KeyError, error, None)})

        assert sent == {
            "request": {"method": "POST"},
            "extra": {"celery-job": {"args": [1]}},
            "tags": {},
            "exception": {
                "values": [{"type": "ValueError", "value": "ValueError"}, {"type": "KeyError", "value": "KeyError"}]
            },
        }

    def test_of_what_happened_before_only_sql_and_log_lines_are_kept(self) -> None:
        query = {"category": "query", "message": "SELECT %s", "data": {"db.params": ["Liv"]}}
        request = {"category": "httplib", "data": {"url": "https://gateway.example.org/+4791234567"}}

        assert sentry.before_breadcrumb(query, {}) == {"category": "query", "message": "SELECT %s", "data": {}}
        assert sentry.before_breadcrumb(request, {}) is None

    @pytest.mark.parametrize(
        ("patience", "margin", "runtime"), [(0, 1, 1), (1, 1, 1), (5, 1, 4), (60, 15, 45), (1440, 360, 1080)]
    )
    def test_margin_and_runtime_share_the_patience_of_the_job(self, patience: int, margin: int, runtime: int) -> None:
        config = monitor_config(CronJob(cron_expression="30 0 * * *", timezone="UTC", alert_after_minutes=patience))

        assert (config["checkin_margin"], config["max_runtime"]) == (margin, runtime)


def test_an_envelope_is_read_item_by_item_with_and_without_lengths() -> None:
    body = b'{}\n{"type":"event","length":8}\n{"a":\n1}\n{"type":"check_in"}\n{"b":2}'

    assert list(parse_envelope(body)) == [("event", {"a": 1}), ("check_in", {"b": 2})]
