"""What Sentry is told: each slot by what its run really did, each error by where it was, and nothing of any person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from config import sentry
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob, Run
from cronjobs.reporting.sentry import monitor_config
from mentors.models import Mentor, Organisation, User
from tests.conftest import Enrol
from tests.support.ingest import Ingest, parse_envelope, sentry_ingest
from tests.support.nights import plan_night
from tests.support.processes import live_environment, running, wait_until, web
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
def job(hlf: Organisation) -> CronJob:
    return make_job(hlf)


class TestCheckIns:
    pytestmark = processes
    # More of them are in tests/acceptance/test_sentry.py.

    def test_a_good_run_is_opened_when_it_is_claimed_and_closed_as_ok(
        self, ingest: Ingest, job: CronJob, liv: Mentor
    ) -> None:
        with worker_with_sentry(ingest):
            run = conclude_slot(job)

        assert run.status == "succeeded"
        assert by_status(ingest) == [("in_progress", run.pk), ("ok", run.pk)]
        opened, closed = ingest.check_ins
        assert opened["monitor_slug"] == closed["monitor_slug"] == f"nightly-{job.pk}"
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
        self, ingest: Ingest, job: CronJob, liv: Mentor
    ) -> None:
        with quoting_the_row("mentors_mentor", "UPDATE"), worker_with_sentry(ingest, attempts=1):
            run = conclude_slot(job)

        assert run.status == "failed"
        assert "Liv Moe" in run.items.get().error  # so there was something to be kept back
        assert by_status(ingest) == [("in_progress", run.pk), ("error", run.pk)]
        (event,) = ingest.events
        assert event["message"] == f"A run of hlf (nightly-{job.pk}) is failed"
        assert event["fingerprint"] == ["run", "hlf", f"nightly-{job.pk}"]
        assert event["level"] == "error"
        facts = {"run_id": str(run.pk), "organisation": "hlf", "job": f"nightly-{job.pk}", "status": "failed"}
        assert event["tags"].items() >= facts.items()
        assert event["contexts"]["run"]["counts"]["pause"]["failed"] == 1
        assert not PERSONAL.search(ingest.text)

    def test_a_held_run_that_a_person_rejects_is_closed_by_the_web_server(
        self, ingest: Ingest, job: CronJob, liv: Mentor, olav: User
    ) -> None:
        Organisation.objects.update(brake_minimum=0, brake_percent=0)
        run = plan_night(
            Organisation.objects.get(),
            timezone.now().date(),
            now=timezone.now(),
            cron_job=job,
            scheduled_for=latest_slot("0 0 * * *", "Europe/Oslo", now=timezone.now()),
            trigger=Run.Trigger.SCHEDULE,
        )

        with web(SENTRY_DSN=ingest.dsn) as address:
            status = post(f"{address}/api/v1/runs/{run.pk}/reject", olav, {"reason": "Liv Moe has renewed"})

        assert (run.status, status) == ("held", 200)
        assert by_status(ingest) == [("error", run.pk)]
        assert [event["message"] for event in ingest.events] == [f"A run of hlf (nightly-{job.pk}) is partial"]
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

    def test_an_error_of_beat_arrives_and_beat_itself_checks_nothing_in(self, ingest: Ingest, job: CronJob) -> None:
        beat = ("celery", "-A", "config", "--quiet", "beat")
        with running(*beat, env=live_environment(SENTRY_DSN=ingest.dsn)) as process:
            process.wait_for("slot_sent")
            process.stop()
        at_work = list(ingest.items)
        PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(days=2))  # it is due again
        unreachable = live_environment(SENTRY_DSN=ingest.dsn, REDIS_URL="redis://:secret@127.0.0.1:1/0")
        with running(*beat, env=unreachable):
            (event, *_) = wait_until(lambda: ingest.events, what="the event")

        assert at_work == []
        assert ingest.check_ins == []
        assert event["level"] == "error"
        assert "secret" not in ingest.text


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
