"""They start, are adopted, come back after a crash, and stop with their last user."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.embedded import VARIABLES, EmbeddedServers, development_environment
from tests.acceptance.embedded.conftest import (
    Run,
    destroy,
    first_line,
    kill_all_below,
    let_go,
    pids_below,
    processes_below,
)

SHOW_URL_THEN_WAIT = ("--", "sh", "-c", "echo $DATABASE_URL; cat")


def test_it_starts_both_servers_and_stops_them(data: Path) -> None:
    up = EmbeddedServers(data / "up", scratch=True)

    urls = up.start()

    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT current_database(), current_setting('server_encoding')").fetchone()
    assert row == ("nattevakt", "UTF8")
    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    up.stop()
    assert processes_below(up.folder) == []
    up.stop()


def test_they_are_durable_unless_they_are_scratch(made: Path) -> None:
    durable = EmbeddedServers(made)

    urls = durable.start()

    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.set("task", "kept")
    durable.stop()
    with redis.Redis.from_url(durable.start()["REDIS_URL"], decode_responses=True) as client:
        assert client.get("task") == "kept"
    destroy(durable)
    assert not durable.folder.exists()


def test_they_ask_for_a_password_and_listen_on_the_loopback_only(up: EmbeddedServers) -> None:
    urls = up.start()

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(urls["DATABASE_URL"], password="guess")
    with socket.create_connection(("127.0.0.1", up.running()["REDIS_URL"].port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(1000).startswith(b"-NOAUTH")
    listening = {
        bound.laddr.ip
        for process in processes_below(up.folder)
        for bound in process.net_connections()
        if bound.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert (up.folder / "state.json").stat().st_mode & 0o077 == 0


def test_servers_that_run_are_adopted(up: EmbeddedServers) -> None:
    urls = up.start()
    before = pids_below(up.folder)

    again = EmbeddedServers(up.folder).start()

    assert again == urls
    assert {pid for server in up.running().values() for pid in [server.processes()[0].pid]} <= before


def test_they_come_back_after_being_killed_although_their_pid_files_are_stale(made: Path) -> None:
    up = EmbeddedServers(made)
    urls = up.start()
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE survivor ()")
    kill_all_below(up.folder)
    assert (up.folder / "postgres/data/postmaster.pid").exists()

    again = up.start()

    assert again == urls
    with psycopg.connect(again["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM survivor")
    destroy(up)


def test_a_stale_pid_that_belongs_to_another_process_by_now_is_no_obstacle(up: EmbeddedServers) -> None:
    up.start()
    kill_all_below(up.folder)
    pid_file = up.folder / "postgres/data/postmaster.pid"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stranger:
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))

        urls = up.start()

        up.stop()
        assert stranger.poll() is None
    assert set(urls) == {"DATABASE_URL", "REDIS_URL"}


def test_backends_whose_postmaster_was_killed_are_no_obstacle(up: EmbeddedServers) -> None:
    urls = up.start()
    with psycopg.connect(urls["DATABASE_URL"]):
        up.running()["DATABASE_URL"].processes()[0].kill()

        urls = up.start()

    psycopg.connect(urls["DATABASE_URL"]).close()


def test_a_server_that_runs_but_does_not_answer_is_replaced(up: EmbeddedServers) -> None:
    up.start()
    state = up.folder / "state.json"
    content = json.loads(state.read_text())
    state.write_text(json.dumps(content | {"ports": {}}))  # as after a kill between launch and note

    urls = up.start()

    with redis.Redis.from_url(urls["REDIS_URL"]) as client:
        assert client.ping()
    psycopg.connect(urls["DATABASE_URL"]).close()


def test_the_orphans_of_a_killed_parent_are_adopted_and_stopped_by_the_next(run: Run, made: Path) -> None:
    parent = run("--scratch", *SHOW_URL_THEN_WAIT)
    url = first_line(parent)
    parent.kill()
    parent.wait()
    orphans = pids_below(made)

    with development_environment(scratch=True) as environment:
        assert environment["DATABASE_URL"] == url
        assert orphans & pids_below(made)

    assert processes_below(made) == []


def test_the_last_user_to_leave_stops_the_servers(run: Run, data: Path) -> None:
    users = [run("--scratch", *SHOW_URL_THEN_WAIT) for _ in range(3)]  # all at once, on an empty folder
    urls = {first_line(user) for user in users}

    assert len(urls) == 1
    assert [let_go(user) for user in users[:2]] == [0, 0]
    psycopg.connect(urls.pop()).close()
    let_go(users[2])
    assert processes_below(data) == []


def test_servers_that_were_started_to_stay_outlive_their_users(up: EmbeddedServers) -> None:
    urls = up.start()

    with development_environment(scratch=True) as environment:
        assert environment["DATABASE_URL"] == urls["DATABASE_URL"]

    assert set(up.running()) == {"DATABASE_URL", "REDIS_URL"}
    kill_all_below(up.folder)
    with development_environment(scratch=True):  # these are its own
        pass
    assert up.running() == {}


def test_only_what_the_environment_lacks_is_provided(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere")
    monkeypatch.setenv("DEBUG", "false")

    with development_environment(scratch=True) as environment:
        assert set(environment) == {"REDIS_URL", "SECRET_KEY"}
        assert {process.name() for process in processes_below(data)} <= {"redis-server", "valkey-server"}
        secret_key = environment["SECRET_KEY"]

    assert not (data / "up/postgres").exists()
    with development_environment(scratch=True) as environment:
        assert environment["SECRET_KEY"] == secret_key


def test_nothing_is_touched_when_the_environment_lacks_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "given")

    with development_environment() as environment:
        assert environment == {}

    assert list(data.iterdir()) == []
