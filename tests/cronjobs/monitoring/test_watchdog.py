"""The watchdog: what it makes of a web server, a silence, a database that hangs; and the real process, cut off."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from cronjobs import heartbeats
from cronjobs.models import Alert, Component, Heartbeat, Incident, Run
from cronjobs.monitoring.problems import SETTLE_TIME
from cronjobs.monitoring.watchdog import Watchdog
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from tests.cronjobs.conftest import subjects
from tests.support.mail import mail_server
from tests.support.processes import PATIENCE, Process, free_port, live_environment, running, wait_until
from tests.support.receiver import Receiver, http_receiver

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def only_beat_is_silent() -> None:
    """Have beat heard of eight hours ago, and the others all the time."""
    record_heartbeats(now=NOW)
    Heartbeat.objects.filter(component__in=[Component.BEAT, Component.BROKER]).update(at=NOW - 8 * HOUR)


def record_heartbeats(*, now: datetime, but: Component | None = None) -> None:
    for component in set(Component) - {but}:
        heartbeats.record_heartbeat(component, now=now)


@pytest.mark.django_db
class TestRounds:
    def test_a_round_shows_that_the_watchdog_lives(self, alarms: Receiver) -> None:
        record_heartbeats(now=NOW)

        assert Watchdog(now=NOW).make_round(now=NOW + MINUTE)

        assert heartbeats.last_heard()[Component.WATCHDOG] == NOW + MINUTE
        assert alarms.received == []

    def test_a_web_server_is_wrong_after_three_rounds_and_well_after_one(
        self, alarms: Receiver, settings: Settings
    ) -> None:
        record_heartbeats(now=NOW)
        told = []
        with http_receiver() as web:
            settings.WATCHDOG_WEB_URL = f"{web.url}/healthz"
            watchdog = Watchdog(now=NOW)
            for seconds, status in enumerate((200, 503, 503, 200, 503, 404, 302, 503, 200, 200)):
                web.always(status)
                watchdog.make_round(now=NOW + timedelta(seconds=seconds))
                told.append(len(alarms.received))

        assert told == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
        assert subjects(alarms) == ["The web server does not answer", "All clear: The web server does not answer"]
        assert Incident.objects.get().key == "web"

    def test_a_web_server_that_is_gone_stays_one_incident_when_the_watchdog_is_started_again(
        self, alarms: Receiver, settings: Settings
    ) -> None:
        record_heartbeats(now=NOW)
        settings.WATCHDOG_WEB_URL = f"http://127.0.0.1:{free_port()}/healthz"
        for _start in range(2):
            watchdog = Watchdog(now=NOW)
            for _round in range(4):
                assert watchdog.make_round(now=NOW)

        assert subjects(alarms) == ["The web server does not answer"]

    def test_after_its_start_it_gives_the_others_time_to_be_heard_of(self, alarms: Receiver) -> None:
        only_beat_is_silent()
        watchdog = Watchdog(now=NOW)

        watchdog.make_round(now=NOW + SETTLE_TIME - MINUTE)
        assert alarms.received == []
        watchdog.make_round(now=NOW + SETTLE_TIME)

        assert subjects(alarms) == ["A component is silent: beat"]

    def test_a_single_round_says_at_once_what_it_sees(self, alarms: Receiver) -> None:
        only_beat_is_silent()

        Watchdog(now=NOW).make_round(now=NOW, once=True)

        assert subjects(alarms) == ["A component is silent: beat"]

    def test_a_part_that_never_comes_is_missed_from_the_first_round_on(self, alarms: Receiver) -> None:
        heartbeats.record_heartbeat(Component.WORKERS, now=NOW)
        watchdog = Watchdog(now=NOW)
        for minutes in range(16):
            heartbeats.record_heartbeat(Component.WORKERS, now=NOW + minutes * MINUTE)
            watchdog.make_round(now=NOW + minutes * MINUTE)

        assert subjects(alarms) == ["A component is silent: beat"]

    def test_a_round_that_could_tell_nobody_is_no_good_round(self, alarms: Receiver) -> None:
        only_beat_is_silent()
        alarms.always(500)
        watchdog = Watchdog(now=NOW)

        assert not watchdog.make_round(now=NOW, once=True)
        alarms.always(200)
        assert watchdog.make_round(now=NOW, once=True)


@pytest.mark.django_db(transaction=True)
def test_what_hangs_in_the_database_is_given_up_and_told_of_without_it_after_the_time_of_three_rounds(
    alarms: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:

    def hang(*, now: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(600)")

    record_heartbeats(now=NOW)
    watchdog = Watchdog(now=NOW)
    with monkeypatch.context() as patched:
        patched.setattr("cronjobs.monitoring.watchdog.LOOK_SECONDS", 0.1)
        settings.WATCHDOG_SECONDS = 0.1
        patched.setattr("cronjobs.monitoring.watchdog.find_problems", hang)
        for number in range(5):
            assert not watchdog.make_round(now=NOW + number * MINUTE)
            assert subjects(alarms) == ["The database does not answer"]
    with connection.cursor() as cursor:  # whom nobody waits for any more sleeps on
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'")
    record_heartbeats(now=NOW + 5 * MINUTE)

    assert watchdog.make_round(now=NOW + 5 * MINUTE)

    assert subjects(alarms) == ["The database does not answer", "All clear: The database does not answer"]
    assert not Alert.objects.exists()


@pytest.mark.django_db
def test_what_is_no_trouble_of_the_database_is_told_by_its_own_name_again_and_again(
    alarms: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*, now: datetime) -> None:
        raise KeyError("kari@example.org")

    monkeypatch.setattr("cronjobs.monitoring.watchdog.find_problems", fail)
    monkeypatch.setattr(
        "cronjobs.monitoring.watchdog.connections.close_all", lambda: None
    )  # the test's own transaction
    watchdog = Watchdog(now=NOW)

    for minutes in range(70):
        watchdog.make_round(now=NOW + minutes * MINUTE)

    assert subjects(alarms) == ["The watchdog cannot look (KeyError)", "Still: The watchdog cannot look (KeyError)"]


# The process.


class Wire:
    """The way to a server, which can be cut and mended, as a machine between the two would."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.port = free_port()
        self._ends: list[socket.socket] = []
        self._door: socket.socket | None = None

    def mend(self) -> None:
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._let_in, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        for end in filter(None, (self._door, *self._ends)):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def _let_in(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                guest, _address = door.accept()
                host = socket.create_connection(("127.0.0.1", self.server_port))
                self._ends += [guest, host]
                for from_, to in ((guest, host), (host, guest)):
                    threading.Thread(target=self._carry, args=(from_, to), daemon=True).start()

    @staticmethod
    def _carry(from_: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := from_.recv(65536):
                to.sendall(data)
        with suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_wire(port: int) -> Iterator[Wire]:
    wire = Wire(port)
    wire.mend()
    try:
        yield wire
    finally:
        wire.cut()


@contextmanager
def watching(*options: str, **environment: str) -> Iterator[Process]:
    ours = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "WATCHDOG_SECONDS": "1", "WATCHDOG_WEB_URL": ""}
    with running("python", "manage.py", "watchdog", *options, env=live_environment(**ours | environment)) as process:
        yield process


@contextmanager
def kept(number: signal.Signals) -> Iterator[None]:
    """Put back what this process does at the signal."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before)


processes = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


class TestTheProcess:
    pytestmark = processes

    def test_without_redis_it_tells_of_a_night_that_nobody_ran_and_makes_it_up(self, hlf: Organisation) -> None:
        now = timezone.now()
        slot = (now - 2 * HOUR).replace(second=0, microsecond=0)
        expression = f"{slot.minute} {slot.hour} * * *"
        job = create_cron_job(
            organisation=hlf, name="nightly", now=now - 3 * HOUR, timezone="UTC", cron_expression=expression
        )
        heartbeats.record_heartbeat(Component.WORKERS, now=now - HOUR)
        with mail_server() as mail, http_receiver() as alarms:
            where = {
                "EMAIL_URL": mail.url,
                "OPERATIONS_EMAIL": "drift@example.org",
                "ALERT_URLS": f"json://127.0.0.1:{alarms.port}/ json://127.0.0.1:{free_port()}/",
            }
            with watching(**where) as watchdog:
                watchdog.wait_until(lambda: len(alarms.received) >= 2, what="the all-clear")
                code = watchdog.stop()

        run = Run.objects.get(cron_job=job)
        assert (run.scheduled_for, run.trigger, run.status) == (slot, "catch_up", "succeeded")
        night = f"hlf nightly, {slot:%d %b %H:%M}"
        raised, cleared = subjects(alarms)
        assert raised == f"Night not run: {night}"
        # It says how the run stood when it was last seen open, which the sweep may have changed already.
        assert (cleared.startswith("All clear: Night not "), cleared.endswith(night)) == (True, True)
        assert [mail["Subject"] for mail in mail.received] == [f"[Nattevakt] {raised}", f"[Nattevakt] {cleared}"]
        assert set(Alert.objects.filter(route="apprise:json:2").values_list("error", flat=True)) == {
            "The gateway does not answer."
        }
        assert code == 0

    def test_a_database_that_goes_and_comes_back_is_told_of_and_cleared_from_memory(self, hlf: Organisation) -> None:
        address = urlsplit(os.environ["DATABASE_URL"])
        assert address.port
        with a_wire(address.port) as wire, http_receiver() as alarms, http_receiver() as pulse:
            name = connection.settings_dict["NAME"]
            there = f"{address.username}:{address.password}@127.0.0.1:{wire.port}"
            where = {
                "DATABASE_URL": f"postgres://{there}/{name}",
                "ALERT_URLS": f"json://127.0.0.1:{alarms.port}/",
                "WATCHDOG_HEARTBEAT_URL": f"{pulse.url}/ping",
            }
            with watching(**where) as watchdog:
                watchdog.wait_until(lambda: pulse.received, what="its first round")
                wire.cut()
                watchdog.wait_until(lambda: alarms.received, what="the alarm")
                beats = len(pulse.received)
                watchdog.wait_until(lambda: watchdog.output.count("no round") >= 5, what="two rounds more")
                assert len(pulse.received) == beats
                wire.mend()
                watchdog.wait_until(lambda: len(alarms.received) == 2, what="the all-clear")
                watchdog.wait_until(lambda: len(pulse.received) > beats, what="its pulse")
                heard_at = Heartbeat.objects.get(component=Component.WATCHDOG).at
                wait_until(
                    lambda: Heartbeat.objects.get(component=Component.WATCHDOG).at > heard_at, what="another round"
                )
                assert watchdog.stop() == 0
                assert str(address.password) not in watchdog.output

        title = "The database does not answer"
        assert subjects(alarms) == [title, f"All clear: {title}"]

    def test_one_round_for_cron_ends_with_0_and_with_1_when_nobody_could_be_told(self, hlf: Organisation) -> None:
        record_heartbeats(now=timezone.now())
        with kept(signal.SIGTERM):
            call_command("watchdog", "--once")  # exits with 0: raises nothing
        Heartbeat.objects.filter(component=Component.BEAT).update(at=timezone.now() - HOUR)
        nobody = f"json://127.0.0.1:{free_port()}/"

        with watching("--once", ALERT_URLS=nobody) as process:
            code, output = process.popen.wait(PATIENCE), process.output

        assert code == 1
        assert "nobody could be told" in output
