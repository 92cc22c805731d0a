"""A whole service of its own for one test: PostgreSQL, Redis, beat, worker, watchdog, mail, and a clock that it moves.

Everything is real but the time. Nothing is shared with other tests, so any part may be stopped, frozen or restarted.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql
from redis import Redis as redis_client  # noqa: N813

from config.servers import Postgres, Redis
from tests.support.clock import MovedClock
from tests.support.mail import MailServer, mail_server
from tests.support.processes import PROJECT, SCRIPTS, Process, free_port, running, wait_until
from tests.support.receiver import Answer, Receiver, Request, http_receiver

OSLO = ZoneInfo("Europe/Oslo")
NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)  # when the organisation is made
EVENING = datetime(2026, 11, 24, 0, 10, tzinfo=OSLO)
SLOT = datetime(2026, 11, 24, 0, 30, tzinfo=OSLO)
MINUTE, SLOWLY = timedelta(minutes=1), timedelta(seconds=12)
TYPES = ("likepersonkurs:required", "taushetserklaering:required", "tegnsprak", "forstehjelp", "horselsteknikk")
ROSTER = PROJECT / "docs" / "sample_roster.csv"

COMMANDS = {
    "beat": ("celery", "-A", "config", "beat", "--", "beat_max_loop_interval=0.2"),
    "worker": ("celery", "-A", "config", "worker", "--queues=night,delivery", "--concurrency=1", "--without-mingle"),
    "watchdog": (sys.executable, "manage.py", "watchdog"),
}
READY = {"beat": "beat: Starting", "worker": " ready.", "watchdog": "watchdog_started"}


@dataclass
class House:
    """The servers, and a database with an organisation, from which each fleet gets a copy."""

    postgres: Postgres
    redis: Redis
    folder: Path

    @contextmanager
    def connect(self, database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        address = urlsplit(self.postgres.url)._replace(path=f"/{database}").geturl()
        with psycopg.connect(address, autocommit=True) as connection:
            yield connection


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """Start the servers and make the organisation, at noon of the day before the night."""
    postgres = Postgres(home=folder / "postgres", password="of-this-test", scratch=True)
    redis = Redis(home=folder / "redis", password="of-this-test", scratch=True)
    with ExitStack() as undo:
        for server in (postgres, redis):
            undo.callback(server.stop)
            server.start()
        built = House(postgres, redis, folder)
        clock = MovedClock(folder / "noon", at=NOON)
        fleet = Fleet(house=built, clock=clock, database="nattevakt")
        fleet.manage("migrate", "--verbosity=0")
        fleet.manage("create_organisation", "hlf", "--name=HLF", *(f"--type={code}" for code in TYPES))
        fleet.manage("import_roster", str(ROSTER), "--organisation=hlf", "--create-chapters")
        # Messages leave at once, so that a night and its mail end together.
        fleet.ask("UPDATE mentors_organisation SET sending_from = '00:00', sending_until = '00:00'")
        yield built


@dataclass
class Fleet:
    """What runs, by name, and what it did."""

    house: House
    clock: MovedClock
    database: str
    mail: MailServer | None = None
    alarms: Receiver | None = None
    web_port: int = 0
    heard: list[tuple[datetime, str]] = field(default_factory=list)  # the alarms' titles, and when they came
    processes: dict[str, Process] = field(default_factory=dict)
    undo: ExitStack = field(default_factory=ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "DATABASE_URL": urlsplit(self.house.postgres.url)._replace(path=f"/{self.database}").geturl(),
            "REDIS_URL": self.house.redis.url,
            "SECRET_KEY": "only for this test",
            "DEBUG": "false",
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECURE_SSL_REDIRECT": "false",
            "LOG_LEVEL": "INFO",
            "OPERATIONS_EMAIL": "drift@example.org",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mail.port}" if self.mail else "memory:",
            "ALERT_URLS": f"json://127.0.0.1:{self.alarms.port}/" if self.alarms else "",
            "WATCHDOG_SECONDS": "1",
            "WATCHDOG_WEB_URL": f"http://127.0.0.1:{self.web_port}/healthz" if self.web_port else "",
            "PYTHONUNBUFFERED": "1",
            "PATH": os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath))),
        }
        return os.environ | ours | self.clock.environment

    def start(self, *names: str) -> None:
        """Start these, and wait until they are at work; a second one of a kind is called `beat-2`."""
        for name in names:
            command = COMMANDS[name.partition("-")[0]]
            self.processes[name] = self.undo.enter_context(running(*command, env=self.environment))
        for name in names:
            self.processes[name].wait_for(READY[name.partition("-")[0]])

    def serve(self) -> None:
        """Start the web server, which the watchdog asks from then on; again on the port that it has had before."""
        self.web_port = self.web_port or free_port()
        command = ("gunicorn", "config.wsgi", f"--bind=127.0.0.1:{self.web_port}", "--workers=1", "--no-control-socket")
        self.processes["web"] = self.undo.enter_context(running(*command, env=self.environment))
        self.processes["web"].wait_for("Booting worker")

    def kill(self, name: str) -> None:
        self.processes.pop(name).kill()

    def signal(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.processes[name].pid, number)

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py in the moved time, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, query: str, *params: Any) -> list[Any]:
        """Ask the database; return the rows, or the values if each row has one only."""
        with self.house.connect(self.database) as connection:
            cursor = connection.execute(query, params)
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]

    def go_to(self, moment: datetime, *, step: timedelta = MINUTE, seconds: float = 0.5) -> None:
        """Let the time pass in steps, each of some real seconds, so that all keep up; slowly while the slot is due.

        What takes a second in reality takes two minutes here: that is for whoever reads the times of a run.
        """
        while self.clock.now < moment:
            slot = self.clock.now.astimezone(OSLO).replace(hour=0, minute=30, second=0)
            is_due = slot - 2 * MINUTE <= self.clock.now < slot + 5 * MINUTE
            self.clock.put(min(moment, self.clock.now + (min(step, SLOWLY) if is_due else step)))
            time.sleep(seconds)  # this is the passing of time itself: there is no event to wait for

    def wait_until(self, query: str, *params: Any, what: str) -> list[Any]:
        """Ask the database until it has an answer; fail with what everybody has written."""
        try:
            return wait_until(lambda: self.ask(query, *params), what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def story(self) -> str:
        return "\n".join(f"── {name}\n{process.output[-3000:]}" for name, process in self.processes.items())

    def hear(self, request: Request) -> Answer:
        """Take an alarm."""
        title: str = json.loads(request.body)["title"]
        self.heard.append((self.clock.now, title.removeprefix("[Nattevakt] ")))
        return Answer()


@contextmanager
def fleet(house: House, name: str, *, parts: Sequence[str] = ("beat", "worker", "watchdog")) -> Iterator[Fleet]:
    """Run the service on a copy of the house's database, from the evening before the slot.

    Of parallel test processes one at a time has a fleet: its time is short, and it needs a processor to keep up.
    """
    with (Path(tempfile.gettempdir()) / "nattevakt-fleet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield from _fleet(house, name, parts=parts)


def _fleet(house: House, name: str, *, parts: Sequence[str]) -> Iterator[Fleet]:
    house.postgres.start()  # if a test that failed has left it stopped
    house.redis.start()
    with house.connect() as connection:
        # Somebody who has just left may still be on the list of the template's guests.
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'nattevakt'")
        make = sql.SQL("CREATE DATABASE {} TEMPLATE nattevakt").format(sql.Identifier(name))
        connection.execute(make)
    with mail_server() as mail, http_receiver() as alarms, ExitStack() as undo:
        clock = MovedClock(house.folder / name, at=EVENING)
        made = Fleet(house=house, clock=clock, database=name, mail=mail, alarms=alarms, undo=undo)
        alarms.answer = made.hear
        _forget_everything(house.redis)
        made.start(*parts)
        yield made


def _forget_everything(server: Redis) -> None:
    with redis_client.from_url(server.url) as client:
        client.flushall()
