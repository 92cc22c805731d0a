"""The watchdog: a process of its own that needs neither Celery nor Redis, and tells even when the database is gone.

    each round ── show that it lives; look; ask the web server; tell; say to a heartbeat URL that all was told
    no database ─ after three rounds in a row, or one that hangs as long, it says so from its own memory
    no sweep ──── if the workers have made none for five minutes, it makes them itself: beat may be gone

Whatever hangs is given up, so that a round ends; whatever fails does not stop the next.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread
from time import monotonic

import requests
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from cronjobs import clock, heartbeats, record_text, sweep
from cronjobs.models import Alert, Component, Incident
from cronjobs.monitoring import alert_text, incidents
from cronjobs.monitoring.alerts import AlertSender, ping
from cronjobs.monitoring.http_probe import answer_of
from cronjobs.monitoring.problems import SETTLE_TIME, WATCHED, Problem, expect_components, find_problems
from mentors.clock import latest_believed, shared_now
from mentors.record_text import RecordText

log = structlog.get_logger(__name__)

KINDS = WATCHED | {Incident.Kind.WEB}
# What fails in so many rounds in a row is wrong; a restart takes less.
ROUNDS = 3
NO_SWEEP = timedelta(minutes=5)
SWEEP_EVERY = timedelta(minutes=2)
# So long a look may take at least; else as long as so many rounds, so that a frozen server is told of like one that is
# gone.
LOOK_SECONDS, TELL_SECONDS = 20, 300

NO_DATABASE = (OperationalError, InterfaceError, TimeoutError)


class TookTooLong(TimeoutError):
    """A step of a round was given up."""


@dataclass
class FailureStreak:
    """What fails round after round, remembered where no database is needed."""

    began_at: datetime
    title: str = ""
    rounds: int = 1
    notified_at: datetime | None = None

    def is_due(self, *, now: datetime) -> bool:
        """Whether it is to be told at `now`, when the last round of it was over."""
        if self.notified_at is None:
            return self.rounds >= ROUNDS or now - self.began_at >= _time_of_rounds()
        return now - self.notified_at >= (
            incidents.HOURLY if now - self.began_at < incidents.DAILY else incidents.DAILY
        )


class Watchdog:
    """What the watchdog knows from one round to the next."""

    def __init__(self, *, now: datetime) -> None:
        self.looked_at = now
        self.reconciles_from = now + SETTLE_TIME
        self.streak: FailureStreak | None = None
        self.over: FailureStreak | None = None  # of which the all-clear has still to be told
        self.web: FailureStreak | None = None
        self.swept_at: datetime | None = None
        self.sweeping: Thread | None = None

    def make_round(self, *, now: datetime, once: bool = False) -> bool:
        """Look and tell; return whether the round could be made and everything was told. Raises nothing."""
        if self.looked_at > latest_believed(now=now):  # the clock was ahead: what it remembers lies too far ahead
            self.reconciles_from, self.swept_at = now + SETTLE_TIME, None
        self.looked_at = now
        began = monotonic()
        web_problems = self._ask_web(now=now)
        kinds = KINDS if once or now >= self.reconciles_from else KINDS - {Incident.Kind.COMPONENT}
        try:
            with _within(max(LOOK_SECONDS, _time_of_rounds().total_seconds())):
                shared_now(now=now)  # by a wrong clock nothing is judged: it is told as a round that cannot be made
                heartbeats.record_heartbeat(Component.WATCHDOG, now=now)
                expect_components(now=now)
                problems = [problem for problem in find_problems(now=now) if problem.kind in kinds]
                due = incidents.reconcile([*problems, *web_problems], now=now, kinds=kinds)
                clock.mend(now=now)
                sweep_is_due = self._sweep_is_due(now=now)
            with _within(TELL_SECONDS):
                all_notified = incidents.notify(due, now=now, sender=AlertSender())
        except Exception as error:
            # Whatever it is, the watch goes on; its text may quote a row.
            log.error("no round", event_name="watchdog_no_round", error=type(error).__name__)
            connections.close_all()
            self._fail(error, now=now, over_at=now + timedelta(seconds=monotonic() - began))
            return False
        self._recover(now=now)
        if sweep_is_due:
            self._sweep(now=now)
        return all_notified and self.over is None

    def wait_for_sweep(self, *, seconds: float) -> None:
        """Let a sweep that has begun come to its end."""
        if self.sweeping:
            self.sweeping.join(seconds)

    def _fail(self, error: Exception, *, now: datetime, over_at: datetime) -> None:
        """Count a failed round, and tell when there were enough of them."""
        title = "The database does not answer"
        if not isinstance(error, NO_DATABASE):
            title = f"The watchdog cannot look ({type(error).__name__})"
        if self.streak is None:
            self.streak = self.over or FailureStreak(title=title, began_at=now, rounds=0)
            self.over = None
        self.streak.rounds += 1
        if self.streak.is_due(now=over_at):
            event = Alert.Event.STILL if self.streak.notified_at else Alert.Event.RAISED
            if _notify_of(self.streak, event):
                self.streak.notified_at = now

    def _recover(self, *, now: datetime) -> None:
        """Note that a round was made, and tell that it could not be before."""
        if self.streak:
            self.reconciles_from = now + SETTLE_TIME
            self.over = self.streak if self.streak.notified_at else None
            self.streak = None
        if self.over and _notify_of(self.over, Alert.Event.CLEARED):
            self.over = None

    def _ask_web(self, *, now: datetime) -> list[Problem]:
        details = _ask(settings.WATCHDOG_WEB_URL) if settings.WATCHDOG_WEB_URL else None
        if details is None:
            self.web = None
            return []
        self.web = self.web or FailureStreak(began_at=now, rounds=0)
        self.web.rounds += 1
        # Until it is certain, an incident from before this process was started stays open, and none is opened.
        return [
            Problem(
                kind=Incident.Kind.WEB,
                key="web",
                title=record_text.WEB_SILENT(),
                details=details,
                began_at=self.web.began_at,
                unconfirmed=self.web.rounds < ROUNDS,
            )
        ]

    def _sweep_is_due(self, *, now: datetime) -> bool:
        swept_at = heartbeats.last_heard().get(Component.WORKERS)
        if swept_at and swept_at > now - NO_SWEEP:
            return False
        return self.swept_at is None or now - self.swept_at >= SWEEP_EVERY

    def _sweep(self, *, now: datetime) -> None:
        """Take up what was lost, in a thread: it may be long, or hang on Redis, and the watch goes on."""
        if self.sweeping and self.sweeping.is_alive():
            return
        self.swept_at = now
        self.sweeping = Thread(target=_sweep_once, kwargs={"now": now}, daemon=True)
        self.sweeping.start()


def _time_of_rounds() -> timedelta:
    """Return how long it takes from the first to the last of as many rounds as an alarm needs."""
    return timedelta(seconds=(ROUNDS - 1) * settings.WATCHDOG_SECONDS)


def _sweep_once(*, now: datetime) -> None:
    log.warning("no worker sweeps: the watchdog does", event_name="watchdog_sweeps")
    try:
        incidents.report_sweep(sweep.sweep(now=now), now=now)
    except Exception as error:
        log.error("sweep failed", event_name="sweep_failed", error=type(error).__name__)
    finally:
        connections.close_all()  # this thread's own


def _notify_of(streak: FailureStreak, event: Alert.Event) -> bool:
    """Tell without the database; return whether some route took it, or there is none."""
    message = alert_text.compose(
        title=streak.title,
        event=event,
        since=f"{streak.began_at:%a %d %b %Y %H:%M} UTC",
        details=["No round could be made." if event != Alert.Event.CLEARED else "Rounds are made again."],
        runbook=alert_text.DATABASE,
    )
    sender = AlertSender()
    log.warning("alarm", event_name=f"alarm_{event}", key="database")
    errors = sender.send(message)
    return not sender.routes or not all(errors.values())


def _ask(url: str) -> RecordText | None:
    """Return what is wrong with the answer; None if it is 200."""
    try:
        status = answer_of(url)
    except requests.RequestException:
        return record_text.WEB_NO_ANSWER()
    return None if status == 200 else record_text.WEB_ANSWERS(status=status)


def beat_heart() -> None:
    """Say to whoever waits for it that the round was made and everything was told."""
    if settings.WATCHDOG_HEARTBEAT_URL:
        ping(settings.WATCHDOG_HEARTBEAT_URL)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Give up what takes longer: a server that is frozen keeps its connections, and would keep the watchdog too."""

    def give_up(*_args: object) -> None:
        raise TookTooLong

    before: Callable[..., object] | int | None = signal.signal(signal.SIGALRM, give_up)
    left, _interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)
