"""Real processes for the tests: each in a session of its own, awaited by what it does, and never left behind.

`with running("celery", "-A", "config", "beat", env=live_environment()) as beat:` starts one; `with worker():` starts a
worker and yields when it takes work. Whatever happens in the block, the whole session is dead after it. The test needs
`@pytest.mark.django_db(transaction=True)`, or the processes see nothing of what it writes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import redis
from django.db import connection

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
PATIENCE = 180.0  # seconds; an event that takes longer has not happened

Value = TypeVar("Value")


def live_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a process that uses this test's own database and Redis database."""
    name = str(connection.settings_dict["NAME"])
    assert name.startswith("test_"), f"{name} is no test database: mark the test with django_db(transaction=True)"
    database_url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    path = os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath)))
    ours = {
        "LOG_LEVEL": "INFO",
        "DATABASE_URL": database_url,
        "EMAIL_URL": "memory:",
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | ours | changes


def wait_until(
    predicate: Callable[[], Value], *, seconds: float = PATIENCE, every: float = 0.05, what: str = "the condition"
) -> Value:
    """Ask until the answer is truthy, and return it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} seconds"
        time.sleep(every)
    return value


class Process:
    """A started command, its output, and everything that it has started in turn."""

    def __init__(self, popen: subprocess.Popen[bytes], output: Path) -> None:
        self.popen = popen
        self.pid = popen.pid
        self._output = output

    @property
    def output(self) -> str:
        """What it has written so far, standard error included."""
        return self._output.read_text(errors="replace")

    @property
    def has_ended(self) -> bool:
        return self.popen.poll() is not None

    def members(self) -> list[psutil.Process]:
        """List what lives in its session: itself, its children and theirs."""
        return [process for pid in psutil.pids() if (process := self._member(pid))]

    def wait_for(self, text: str, *, seconds: float = PATIENCE) -> None:
        """Wait until it has written `text`; fail with all its output if it ends or takes too long."""
        self.wait_until(lambda: text in self.output, seconds=seconds, what=f'"{text}"')

    def wait_until(self, predicate: Callable[[], Value], *, seconds: float = PATIENCE, what: str = "it") -> Value:
        """Wait until the predicate is true; fail with all its output if it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not (value := predicate()):
            assert not self.has_ended, self._story(f"ended with {self.popen.returncode} before {what}")
            assert time.monotonic() < deadline, self._story(f"has not come to {what} within {seconds:g} seconds")
            time.sleep(0.05)
        return value

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = PATIENCE) -> int:
        """Signal the command itself, as `docker stop` does, and return its exit code; fail if anything lives on."""
        self.popen.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        assert self.has_ended, self._story(f"has not stopped within {seconds:g} seconds")
        wait_until(lambda: not self.members(), what=self._story("left children behind; their end"))
        return int(self.popen.returncode)

    def kill(self) -> None:
        """Kill all of it at once, as a power cut does, and wait until it is gone."""
        while members := self.members():
            for process in members:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.popen.poll()
            time.sleep(0.01)
        self.popen.wait()

    def _member(self, pid: int) -> psutil.Process | None:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(pid) == self.pid:
                process = psutil.Process(pid)
                return None if process.status() == psutil.STATUS_ZOMBIE else process
        return None

    def _story(self, fact: str) -> str:
        command = self.popen.args if isinstance(self.popen.args, list) else [self.popen.args]
        return f"`{' '.join(map(str, command))}` {fact}. Its output:\n{self.output}"


@contextmanager
def running(*command: str, env: Mapping[str, str], cwd: Path = PROJECT) -> Iterator[Process]:
    """Run a command for the time of a block."""
    program = shutil.which(command[0], path=env.get("PATH"))
    assert program, f"{command[0]} is not installed"
    with tempfile.NamedTemporaryFile(prefix="process-", suffix=".log") as output:
        popen = subprocess.Popen(
            [program, *command[1:]],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        process = Process(popen, Path(output.name))
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def worker(
    *settings: str, concurrency: int = 2, queues: str = "night,delivery", **environment: str
) -> Iterator[Process]:
    """Run a real worker; the block begins when it takes work. Two at a time do not get into each other's way.

    `settings` are Celery's own for a worker, as `worker_lost_wait=1`.
    """
    command = (
        "celery", "-A", "config", "--quiet", "worker", f"--queues={queues}", f"--concurrency={concurrency}",
        f"--hostname=worker-{uuid4().hex[:8]}@%h",
        "--without-mingle", "--without-gossip", "--without-heartbeat", "--", *settings,
    )  # fmt: skip
    with running(*command, env=live_environment(**environment)) as process:
        process.wait_for(" ready.")
        yield process


@contextmanager
def web(*, processes: int = 2, threads: int = 4, **environment: str) -> Iterator[str]:
    """Serve this test's database from gunicorn as the Procfile does; yields the address, as http://127.0.0.1:8000."""
    port = free_port()
    command = (
        "gunicorn", "config.wsgi", "--config=python:config.gunicorn", f"--bind=127.0.0.1:{port}",
        f"--workers={processes}", f"--threads={threads}", "--no-control-socket",
    )  # fmt: skip
    with running(*command, env=live_environment(ALLOWED_HOSTS="127.0.0.1", **environment)) as server:
        server.wait_until(lambda: server.output.count("Booting worker") == processes, what="its processes")
        yield f"http://127.0.0.1:{port}"


def empty_broker() -> None:
    """Forget every message of this test's Redis database, as if Redis had lost them."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()


def free_port() -> int:
    """Pick a port that stays free while whoever listens there is away: no outgoing connection is given one so low."""
    for port in SystemRandom().sample(range(20_000, 32_000), 50):  # parallel test processes have the same seed
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("All ports that were tried between 20000 and 32000 are taken.")
