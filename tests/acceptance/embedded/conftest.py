"""The servers from wheels, for real: every test runs PostgreSQL or Redis in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.embedded import VARIABLES, EmbeddedServers
from config.servers import write_secret
from tests.support.processes import PROJECT

RUN = (sys.executable, "-m", "config.embedded", "run")
Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of all servers of a test, which must leave none of them running."""
    monkeypatch.setenv("NATTEVAKT_DATA", str(tmp_path))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    yield tmp_path
    left = processes_below(tmp_path)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def run(data: Path) -> Iterator[Run]:
    """Start `python -m config.embedded run` with more arguments, its pipes in our hands."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*RUN, *arguments],
            cwd=PROJECT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            process.communicate(timeout=60)  # closes its standard input, for which the commands of these tests wait
        except subprocess.TimeoutExpired:  # of a test that has failed
            process.terminate()
            process.communicate()


@pytest.fixture(scope="session")
def once_started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of servers that have run before, and do not run now."""
    servers = EmbeddedServers(tmp_path_factory.mktemp("embedded") / "up", scratch=True)
    servers.start()
    servers.stop()
    return servers.folder


@pytest.fixture
def made(data: Path, once_started: Path) -> Path:
    """A copy of them: a test that is not about the very first start need not wait for it."""
    state = json.loads((once_started / "state.json").read_text())
    shutil.copytree(once_started, data / "up", ignore=shutil.ignore_patterns("*.log", "state.json"))
    write_secret(data / "up" / "state.json", json.dumps(state | {"ports": {}}))
    return data / "up"


@pytest.fixture
def up(made: Path) -> Iterator[EmbeddedServers]:
    up = EmbeddedServers(made, scratch=True)
    yield up
    destroy(up)


def destroy(servers: EmbeddedServers) -> None:
    servers.stop()
    shutil.rmtree(servers.folder)


def processes_below(folder: Path) -> list[psutil.Process]:
    """Find servers by where they live, which is not how the code under test finds them."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] in ("postgres", "redis-server", "valkey-server")
        and Path(process.info["cwd"] or "/").is_relative_to(folder)
    ]


def pids_below(folder: Path) -> set[int]:
    return {process.pid for process in processes_below(folder)}


def kill_all_below(folder: Path) -> None:
    found = processes_below(folder)
    for process in found:
        process.kill()
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in found):
        os.sched_yield()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text
