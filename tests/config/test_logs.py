"""The log: JSON line by line from every process, one run's id through all of them, and nothing of any person."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from celery.app.trace import LOG_FAILURE
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.test import Client, RequestFactory
from django.urls import resolve
from knox.models import AuthToken
from structlog.contextvars import bind_contextvars, get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from config.redaction import describe, trace
from cronjobs.models import Run
from mentors.models import Mentor, Organisation, User
from tests.conftest import Enrol
from tests.support.processes import free_port, live_environment, running, wait_until, worker
from tests.support.quoting import PERSONAL, make_job, post, quoting_the_row, wait_for_the_night

Line = dict[str, Any]
Write = Callable[..., Line]
# By the hour of a test a slot is late; and the sweep may come to it before beat's message does, or after.
BESIDE_THE_RUN = {"slot_caught_up", "slot_taken"}


def lines_of(output: str) -> list[Line]:
    """Read every line as JSON; one that is none fails the test."""
    return [json.loads(line) for line in output.splitlines()]


def about(run: Run, lines: list[Line]) -> list[str]:
    """Return what is said of a run, in its order."""
    return [line["event_name"] for line in lines if line.get("run_id") == str(run.pk) and "event_name" in line]


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_one_run_is_followed_by_its_id_through_beat_worker_delivery_and_web(
    hlf: Organisation, enrol: Enrol, course: Any, olav: User, kari: User
) -> None:
    make_job(hlf)  # beat finds it due
    Organisation.objects.update(sending_until=F("sending_from"))  # at all hours
    liv, per = enrol(name="Liv Moe", email="liv@example.org"), enrol(name="Per Vik", email="per@example.org")
    for mentor in (liv, per):
        mentor.certifications.create(type=course, number="1", issued_on="2020-01-01", expires_on="2021-01-01")

    broken = quoting_the_row("mentors_mentor", "UPDATE", when=f"NEW.id = {liv.pk}")
    with broken, worker(NIGHTLY_MAX_ATTEMPTS="1", LOG_LEVEL="DEBUG") as work:
        with running("celery", "-A", "config", "--quiet", "beat", env=live_environment()) as beat:
            beat.wait_for("slot_sent")
            run = wait_for_the_night()
            beat.stop()
            in_beat = lines_of(beat.output)
        wait_until(lambda: "batch_delivered" in work.output, what="the messages")
        in_worker = lines_of(work.output)  # before its end: Celery's farewell is no line of the log
    port = free_port()
    command = ("gunicorn", "config.wsgi", "--config=python:config.gunicorn", f"--bind=127.0.0.1:{port}")
    with running(*command, env=live_environment(ALLOWED_HOSTS="127.0.0.1")) as server:
        server.wait_for("Booting worker")
        undone = post(f"http://127.0.0.1:{port}/api/v1/runs/{run.pk}/undo", olav, {"reason": "Liv Moe, by mistake"})
        server.stop()
        in_web = lines_of(server.output)

    assert (run.status, undone) == ("partial", 200)
    assert "Liv Moe" in run.items.get(mentor=liv).error.in_english()  # so there was something to be kept back
    assert about(run, in_beat) == ["slot_sent"]
    told = [name for name in about(run, in_worker) if name not in BESIDE_THE_RUN]
    assert told[:2] == ["run_claimed", "run_planned"]
    assert {"batch_done", "batch_failed", "run_failed", "run_concluded", "batch_delivered"} <= set(told[2:])
    for name in ("run_planned", "batch_done", "run_failed", "batch_delivered"):
        line = next(line for line in in_worker if line.get("event_name") == name)
        assert line["counts"], name
        assert line["seconds"] >= 0, name
    # Celery's own lines of a task belong to its run as well.
    assert [line for line in in_worker if line["logger"] == "celery.app.trace" and line.get("run_id") == str(run.pk)]
    assert about(run, in_web) == ["run_undone", "request"]
    assert len({line["request_id"] for line in in_web if line.get("run_id") == str(run.pk)}) == 1
    assert [line["event"] for line in in_web if line["logger"] == "gunicorn.error"]
    assert not PERSONAL.search(json.dumps([in_beat, in_worker, in_web], ensure_ascii=False))


@pytest.fixture
def write() -> Write:
    """Write by a logger, and return the line as it comes out."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    formatter = dict(settings.LOGGING["formatters"]["json"])
    handler.setFormatter(formatter.pop("()")(**formatter))

    def write(name: str, level: int, message: object, *args: Any, **options: Any) -> Line:
        logger = logging.getLogger(name)
        record = logger.makeRecord(
            name, level, "file.py", 1, message, args, options.pop("exc_info", None), extra=options.pop("extra", None)
        )
        handler.handle(record)
        (line,) = lines_of(stream.getvalue())
        return dict(line)

    return write


def raised(error: Exception, *, cause: Exception | None = None) -> Any:
    try:
        raise error from cause
    except type(error):
        return sys.exc_info()


class TestForeignLines:
    def test_they_carry_what_they_belong_to(self, write: Write) -> None:
        bind_contextvars(run_id="r", request_id="q")

        line = write("kombu", logging.WARNING, "Lost %s of %d", "one", 3)

        assert line["event"] == "Lost one of 3"
        assert (line["run_id"], line["request_id"], line["level"], line["logger"]) == ("r", "q", "warning", "kombu")

    def test_an_error_is_named_and_not_quoted(self, write: Write) -> None:
        exc_info = raised(IntegrityError("Key (name)=(Liv Moe)"), cause=ValueError("liv@example.org"))

        line = write("any", logging.ERROR, "It broke: %s", exc_info[1], exc_info=exc_info)

        assert line["event"] == "It broke: django.db.utils.IntegrityError"
        assert re.fullmatch(
            r"django\.db\.utils\.IntegrityError\n  .*test_logs\.py:\d+ in raised\nafter ValueError", line["exception"]
        )

    @pytest.mark.parametrize("message", ["Liv Moe", "It broke: Liv Moe"])
    def test_not_even_when_its_text_is_the_message(self, write: Write, message: str) -> None:
        line = write("any", logging.ERROR, message, exc_info=raised(ValueError("Liv Moe")))

        assert line["event"] == message.replace("Liv Moe", "ValueError")

    def test_a_task_that_failed_is_named_as_celery_names_it(self, write: Write) -> None:
        facts = {"name": "cronjobs.nightly", "id": "1", "description": "raised unexpected", "exc": "ValueError('Liv')"}

        with_error = write("celery.app.trace", logging.ERROR, LOG_FAILURE, facts, exc_info=raised(ValueError("Liv")))

        assert with_error["event"] == "Task cronjobs.nightly[1] raised unexpected: ValueError"

    def test_nor_without_its_error(self, write: Write) -> None:
        facts = {"name": "cronjobs.nightly", "id": "1", "description": "raised expected", "exc": "ValueError('Liv')"}

        without = write("celery.app.trace", logging.INFO, LOG_FAILURE, facts)

        assert without["event"] == "Task cronjobs.nightly[1] raised expected: …"

    def test_a_request_is_named_by_its_route_and_not_by_its_path(self, write: Write) -> None:
        request = RequestFactory().get("/a/secret-token/?name=Liv")
        request.resolver_match = resolve("/a/secret-token/")

        line = write(
            "django.request",
            logging.ERROR,
            "%s: %s",
            "Internal Server Error",
            request.path,
            extra={"request": request, "status_code": 500},
            exc_info=raised(ValueError("Liv")),
        )

        assert line["event"] == "Internal Server Error: …"
        assert (line["route"], line["status"]) == ("a/<str:token>/", 500)
        assert not re.search("secret|Liv", json.dumps(line))

    def test_gunicorn_names_nobodys_address(self, write: Write) -> None:
        line = write("gunicorn.error", logging.WARNING, "Invalid request from ip=192.0.2.7: /a/token")

        assert line["event"] == "Invalid request"

    def test_what_gunicorn_says_of_itself_stays_whole(self, write: Write) -> None:
        line = write("gunicorn.error", logging.INFO, "Listening at: %s (%s)", "http://127.0.0.1:8000", 7)

        assert line["event"] == "Listening at: http://127.0.0.1:8000 (7)"

    def test_values_that_do_not_fit_lose_no_line(self, write: Write) -> None:
        assert write("any", logging.INFO, "%d of %d", "one")["event"] == "%d of %d"


@pytest.mark.django_db
def test_a_database_error_is_described_by_its_code_and_what_it_is_about(hlf: Organisation) -> None:
    with pytest.raises(IntegrityError) as duplicate, transaction.atomic():
        Organisation.objects.create(slug="hlf", name="HLF")

    assert "hlf" in str(duplicate.value)
    assert describe(duplicate.value) == (
        "django.db.utils.IntegrityError 23505 mentors_organisation mentors_organisation_slug_key"
    )
    assert "psycopg.errors.UniqueViolation 23505" in trace(duplicate.value)
    assert "(hlf)" not in trace(duplicate.value)


def test_an_error_that_causes_itself_is_traced_once() -> None:
    error = ValueError("Liv")
    error.__context__ = other = KeyError("Liv")
    other.__context__ = error

    assert trace(error) == "ValueError\nafter KeyError"


@pytest.mark.django_db
class TestRequests:
    def test_one_that_changes_something_is_logged_by_route_and_number(self, kari: User, mentor: Mentor) -> None:
        token = AuthToken.objects.create(kari)[1]

        with capture_logs(processors=[merge_contextvars]) as logs:
            answer = Client().post(
                f"/api/v1/mentors/{mentor.pk}/pause",
                {"reason": "Liv Moe is ill"},
                content_type="application/json",
                headers={"Authorization": f"Token {token}"},
            )

        (line,) = [line for line in logs if line.get("event_name") == "request"]
        assert answer.status_code == 200
        assert (line["method"], line["status"], line["user"]) == ("POST", 200, kari.pk)
        assert line["route"] == "api/v1/mentors/(?P<pk>[^/.]+)/pause/?$"
        assert line["request_id"] == answer["X-Request-ID"]
        assert not re.search("Liv|kari|ill", json.dumps(logs))

    def test_one_that_reads_is_not(self, mentor: Mentor) -> None:
        with capture_logs() as logs:
            answer = Client().get("/healthz")

        assert [line for line in logs if line.get("event_name") == "request"] == []
        assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])

    def test_the_link_of_a_message_is_not_in_it(self) -> None:
        with capture_logs() as logs:
            Client().post("/a/secret-token/")

        (line,) = [line for line in logs if line.get("event_name") == "request"]
        assert line["route"] == "a/<str:token>/"
        assert "secret-token" not in json.dumps(logs)

    def test_nothing_of_one_request_is_left_for_the_next(self) -> None:
        bind_contextvars(run_id="of another")

        Client().get("/healthz")

        assert get_contextvars() == {}
