"""`/healthz` and `/readyz`, with what they ask for really there and really gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from config.health import REMEMBERED_SECONDS, Remembered

# WhiteNoise: the tests collect no static files.


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def use_database_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    params = connection.get_connection_params() | {"host": "127.0.0.1", "port": port}
    monkeypatch.setattr(connection, "get_connection_params", lambda: params)


def use_broker_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", f"redis://:secret@127.0.0.1:{port}/0")


def test_healthz_answers_without_a_database(client: Client) -> None:
    response = client.get("/healthz")  # pytest-django fails a test that asks the database unannounced

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_readyz_is_ready_when_everything_answers(client: Client) -> None:
    response = client.get("/readyz")

    assert response.json() == {
        "status": "ok",
        "checks": {"database": "ok", "broker": "ok", "migrations": "ok"},
    }
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_are_open_to_everybody_over_plain_http_and_start_no_session(path: str, client: Client) -> None:
    response = client.get(path, secure=False)

    assert response.status_code == 200
    assert response.cookies == {}
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_a_redis_that_is_gone_is_named(client: Client, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use_broker_at(closed_port, monkeypatch)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "checks": {"database": "ok", "broker": "no answer", "migrations": "ok"},
    }


@pytest.mark.django_db
def test_a_database_that_is_gone_is_named(client: Client, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use_database_at(closed_port, monkeypatch)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"] == {"database": "no answer", "broker": "ok", "migrations": "no answer"}


@pytest.mark.timeout(300)
@pytest.mark.django_db
def test_servers_that_hang_do_not_hang_the_answer(
    client: Client, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_database_at(silent_port, monkeypatch)
    use_broker_at(silent_port, monkeypatch)

    response = client.get("/readyz")

    assert set(response.json()["checks"].values()) == {"no answer"}


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_is_missing_is_counted(client: Client) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("mentors", "0001_initial")
    try:
        response = client.get("/readyz")
    finally:
        recorder.record_applied("mentors", "0001_initial")

    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "1 not applied"


@pytest.mark.django_db
def test_nothing_secret_is_in_the_answer_or_the_log(
    client: Client, closed_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use_database_at(closed_port, monkeypatch)
    use_broker_at(closed_port, monkeypatch)

    response = client.get("/readyz")

    said = response.content.decode() + caplog.text
    assert caplog.records
    for secret in ("secret", str(closed_port), "127.0.0.1", connection.settings_dict["PASSWORD"]):
        assert secret not in said


@pytest.mark.django_db
def test_however_often_it_is_asked_it_asks_the_servers_once_a_second(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    now = 100.0
    monkeypatch.setattr("config.health.monotonic", lambda: now)

    def check() -> str:
        asked.append("database")
        return "ok"

    monkeypatch.setattr("config.health.CHECKS", {"database": check})

    for _ in range(50):
        assert client.get("/readyz").status_code == 200
    assert len(asked) == 1

    now += REMEMBERED_SECONDS
    client.get("/readyz")
    assert len(asked) == 2


def test_while_one_thread_asks_a_server_that_hangs_the_others_are_told_what_was_known() -> None:
    answers, may_end, is_asking = iter(["before", "after"]), threading.Event(), threading.Event()
    may_end.set()

    def ask() -> str:
        is_asking.set()
        assert may_end.wait(60)
        return next(answers)

    remembered = Remembered(ask)
    assert remembered() == "before"
    remembered._until = 0.0  # a second has passed
    may_end.clear()
    is_asking.clear()
    asking = threading.Thread(target=remembered)
    asking.start()
    assert is_asking.wait(60)

    assert [remembered() for _ in range(20)] == ["before"] * 20

    may_end.set()
    asking.join(60)
    assert remembered() == "after"
