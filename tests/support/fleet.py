"""A whole service of its own for one test: PostgreSQL, Redis, beat, worker, watchdog, mail, and a clock that it moves.

Everything is real but the time. Nothing is shared with other tests, so any part may be stopped, frozen or restarted,
and several fleets run side by side.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from redis import ConnectionError as NoBroker
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
MINUTE, SLOWLY = timedelta(minutes=1), timedelta(seconds=30)
TYPES = ("likepersonkurs:required", "taushetserklaering:required", "tegnsprak", "forstehjelp", "horselsteknikk")
ROSTER = PROJECT / "docs" / "sample_roster.csv"
# What is waited for comes as soon as the machine has time for it; Celery looks for a lost broker every half a minute.
PATIENCE = 240.0

COMMANDS = {
    "beat": ("celery", "-A", "config", "beat", "--", "beat_max_loop_interval=1"),
    "worker": ("celery", "-A", "config", "worker", "--queues=night,delivery", "--concurrency=1", "--without-mingle"),
    "watchdog": (sys.executable, "manage.py", "watchdog"),
}
READY = {"beat": "beat: Starting", "worker": " ready.", "watchdog": "watchdog_started"}
MANAGE = """
import json, sys
from django.core.management import execute_from_command_line

for command in json.loads(sys.argv[1]):
    execute_from_command_line(["manage.py", *command])
"""
LOOPS = {"beat", "watchdog"}
QUEUES = ("night", "delivery")


@dataclass
class House:
    """The servers, and a database with an organisation."""

    postgres: Postgres
    redis: Redis
    folder: Path

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            yield connection


def prepare(shared: Path) -> Path:
    """Return the folder of a stopped PostgreSQL with the organisation; the first test process that asks makes it."""
    made = shared / "prepared-house"
    with (shared / "prepared-house.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            draft = shared / "prepared-house-draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            _make_organisation(draft)
            draft.rename(made)
    return made


def _make_organisation(folder: Path) -> None:
    """At noon of the day before the night."""
    with servers(folder) as house:
        fleet = Fleet(house=house, clock=MovedClock(folder / "noon", at=NOON))
        fleet.manage(
            ["migrate", "--verbosity=0"],
            ["create_organisation", "hlf", "--name=HLF", *(f"--type={code}" for code in TYPES)],
            ["import_roster", str(ROSTER), "--organisation=hlf", "--create-chapters"],
        )
        # Messages leave at once, so that a night and its mail end together.
        fleet.ask("UPDATE mentors_organisation SET sending_from = '00:00', sending_until = '00:00'")


@contextmanager
def house(prepared: Path, folder: Path) -> Iterator[House]:
    """Run a copy of the prepared PostgreSQL, and a Redis; the folder is gone at the end."""
    try:
        shutil.copytree(prepared / "postgres" / "data", folder / "postgres" / "data")
        with servers(folder) as built:
            yield built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def servers(folder: Path) -> Iterator[House]:
    postgres = Postgres(home=folder / "postgres", password="of-this-test", scratch=True, port=free_port())
    redis = Redis(home=folder / "redis", password="of-this-test", scratch=True, port=free_port())
    with ExitStack() as undo:
        for server in (postgres, redis):
            undo.callback(server.stop)
            server.start()
        yield House(postgres, redis, folder)


@dataclass
class Fleet:
    """What runs, by name, and what it did."""

    house: House
    clock: MovedClock
    mail: MailServer | None = None
    alarms: Receiver | None = None
    web_port: int = 0
    heard: list[tuple[datetime, str]] = field(default_factory=list)  # the alarms' titles, and when they came
    processes: dict[str, Process] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    undo: ExitStack = field(default_factory=ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "DATABASE_URL": self.house.postgres.url,
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
            kind = name.partition("-")[0]
            moved = self.clock.environment_of_loop(name) if kind in LOOPS else {}
            command = running(*COMMANDS[kind], env=self.environment | moved)
            self.processes[name] = self.undo.enter_context(command)
        for name in names:
            self.processes[name].wait_for(READY[name.partition("-")[0]], seconds=PATIENCE)
        self.keep_up()

    def serve(self) -> None:
        """Start the web server, which the watchdog asks from then on; again on the port that it has had before."""
        self.web_port = self.web_port or free_port()
        command = ("gunicorn", "config.wsgi", f"--bind=127.0.0.1:{self.web_port}", "--workers=1", "--no-control-socket")
        self.processes["web"] = self.undo.enter_context(running(*command, env=self.environment))
        self.processes["web"].wait_for("Booting worker")

    def kill(self, name: str) -> None:
        self.processes.pop(name).kill()

    def freeze(self, name: str) -> None:
        os.killpg(self.processes[name].pid, signal.SIGSTOP)
        self.frozen.add(name)

    def thaw(self, name: str) -> None:
        os.killpg(self.processes[name].pid, signal.SIGCONT)
        self.frozen.remove(name)
        self.keep_up()

    def manage(self, *commands: Sequence[str]) -> None:
        """Run commands of manage.py in the moved time, one after the other in one process."""
        done = subprocess.run(
            [sys.executable, "-c", MANAGE, json.dumps(commands)],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def ask(self, query: str, *params: Any) -> list[Any]:
        """Ask the database; return the rows, or the values if each row has one only."""
        with self.house.connect() as connection:
            cursor = connection.execute(query, params)
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]

    def go_to(self, moment: datetime, *, step: timedelta = MINUTE, busy: Collection[str] = ()) -> None:
        """Let the time pass in steps, in each of which all who live keep up, but for the busy; slowly around the slot.

        However long a step takes in reality, it is as long in the moved time.
        """
        while self.clock.now < moment:
            slot = self.clock.now.astimezone(OSLO).replace(hour=0, minute=30, second=0)
            is_due = slot - 2 * MINUTE <= self.clock.now < slot + 5 * MINUTE
            self.clock.put(min(moment, self.clock.now + (min(step, SLOWLY) if is_due else step)))
            self.keep_up(busy=busy)

    def keep_up(self, *, busy: Collection[str] = ()) -> None:
        """Wait until all who live have done what is to do now: each loop was round, and the worker has what came of it.

        Who was killed or is frozen is not waited for, nor a worker of whose broker nothing can be heard.
        """
        alive = self.processes.keys() - self.frozen - set(busy)
        for name in sorted(name for name in alive if name.partition("-")[0] in LOOPS):
            self.wait_until(partial(self.clock.was_round, name), what=f"a round of {name}")
        if "worker" in alive:
            with redis_client.from_url(self.house.redis.url) as broker:
                self.wait_until(lambda: self._worker_rests(broker), what="the rest of the worker")

    def _worker_rests(self, broker: redis_client) -> bool:
        """Whether no message waits, and the worker holds none but those that are for later.

        A message is nowhere for the moment in which the worker takes it; whoever looks then looks again a step later.
        """
        with broker.pipeline() as questions:
            for queue in QUEUES:
                questions.llen(queue)
            questions.hvals("unacked")
            try:
                *waiting, held = questions.execute()
            except NoBroker:
                return True
        return not any(waiting) and all(json.loads(each)[0]["headers"]["eta"] for each in held)

    def wait_for(self, query: str, *params: Any, what: str) -> None:
        """Ask the database until it has an answer."""
        self.wait_until(lambda: self.ask(query, *params), what=what)

    def wait_until(self, predicate: Callable[[], object], *, what: str) -> None:
        """Ask until the answer is truthy; fail with what everybody has written."""
        try:
            wait_until(predicate, seconds=PATIENCE, every=0.005, what=what)
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
def fleet(house: House, *, parts: Sequence[str] = ("beat", "worker", "watchdog")) -> Iterator[Fleet]:
    """Run the service, from the evening before the slot."""
    with mail_server() as mail, http_receiver() as alarms, ExitStack() as undo:
        clock = MovedClock(house.folder / "clock", at=EVENING, slower=10)
        made = Fleet(house=house, clock=clock, mail=mail, alarms=alarms, undo=undo)
        alarms.answer = made.hear
        made.start(*parts)
        yield made
