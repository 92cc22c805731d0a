"""Sessions that stop before any statement and go on when they are told: the order of what happens is the history's.

    Stage ── starts a session, lets it go on for so many statements, or kills it; only one of them runs at a time
    Session ─ a function in a thread with a connection of its own; before each statement, each commit and each
              message that it sends, it asks the stage whether it may

A session that waits for another one's lock is found in the database, by who blocks it, and not by waiting for a time.
As soon as the other lets go of the lock it finishes that one statement, and then waits to be told, as all do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Semaphore, Thread, local
from typing import Any
from unittest.mock import patch

import psycopg
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.utils import OperationalError
from django.utils import timezone

TO_THE_END = 100_000  # statements
LOOK_EVERY = 0.004  # seconds, and then ever longer: the database is asked whether a session waits for a lock
BLOCKERS = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS pid"

_here = local()


class Killed(BaseException):
    """Ends a session where it stands, as a power cut does."""


@dataclass(eq=False)
class Session:
    """One thing that somebody does."""

    what: str
    do: Callable[[], object]
    number: int
    now: datetime  # when it began, by the clock of the history
    version: Callable[[], int]  # of the world
    began: int  # the version of the world then
    since: int | None = None  # the version from which its open transaction began
    left: int = 0  # statements that it may still execute before it stops
    is_alone: bool = False  # it need not ask before each of them
    is_blocked: bool = False
    is_dying: bool = False
    is_over: bool = False
    pid: int = 0
    error: Exception | None = None
    result: Any = None
    deadlocks: int = 0
    go: Semaphore = field(default_factory=lambda: Semaphore(0))

    def __str__(self) -> str:
        return f"session {self.number} ({self.what})"


def current_session() -> Session | None:
    return getattr(_here, "session", None)


def ask_to_go_on() -> None:
    """Stop if the stage says so: before everything that others may see. Outside of sessions it does nothing."""
    session = current_session()
    if session is None:
        return
    if not session.is_dying and (session.left <= 0 or not session.is_alone):
        _here.back.put(session)
        session.go.acquire()
    if session.is_dying:
        raise Killed
    session.left -= 1


def _execute(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    ask_to_go_on()
    session: Session = _here.session
    if session.since is None:
        session.since = session.version()
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        session.deadlocks += isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
        raise
    finally:
        if not connection.in_atomic_block:
            session.since = None


_commit: Callable[[DatabaseWrapper], None] = DatabaseWrapper._commit  # type: ignore[attr-defined]


def _ask_and_commit(wrapper: DatabaseWrapper) -> None:
    """Commit; Django asks the driver for it, so that no wrapper of statements sees it."""
    ask_to_go_on()
    _commit(wrapper)
    if session := current_session():
        session.since = None


class Player:
    """A thread that plays one session after the other, over the same connection as long as that lives."""

    def __init__(self, back: SimpleQueue[Session]) -> None:
        self.jobs: SimpleQueue[Session | None] = SimpleQueue()
        self._back = back
        self._thread = Thread(target=self._play_all, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self.jobs.put(None)
        self._thread.join()

    def _play_all(self) -> None:
        try:
            while session := self.jobs.get():
                self._play(session)
                session.is_over = True
                self._back.put(session)
        finally:
            connection.close()

    def _play(self, session: Session) -> None:
        _here.back = self._back
        session.go.acquire()
        connection.ensure_connection()
        session.pid = connection.connection.info.backend_pid if connection.connection else 0
        _here.session = session
        try:
            with connection.execute_wrapper(_execute):
                session.result = session.do()
        except Killed:
            pass
        except Exception as error:
            session.error = error
        finally:
            _here.session = None
        if session.is_dying or not connection.is_usable():
            connection.close()


class Stage:
    """Where sessions play, one at a time."""

    def __init__(self, monitor: psycopg.Connection[Any], version: Callable[[], int]) -> None:
        self.open: list[Session] = []
        self._monitor, self._version = monitor, version
        self._back: SimpleQueue[Session] = SimpleQueue()
        self._free: list[Player] = []
        self._players: dict[Session, Player] = {}
        self._numbers = 0

    def start(self, what: str, do: Callable[[], object]) -> Session:
        """Let somebody come who does this; nothing is done yet."""
        self._numbers += 1
        began = self._version()
        session = Session(what, do, self._numbers, now=timezone.now(), version=self._version, began=began)
        player = self._free.pop() if self._free else Player(self._back)
        player.jobs.put(session)
        self._players[session] = player
        self.open.append(session)
        return session

    def go_on(self, session: Session, statements: int) -> None:
        """Let it execute so many statements; less, if it comes to its end, or has to wait for another's lock."""
        session.left = statements
        session.is_alone = len(self.open) == 1
        while session.left > 0 and not session.is_over and not session.is_blocked:
            session.go.release()
            self._await(session)
        session.left = 0

    def kill(self, session: Session) -> None:
        """Let it die where it stands; its connection is lost, and with it its transaction and its locks."""
        session.is_dying = True
        if session.is_blocked:
            self._monitor.execute("SELECT pg_terminate_backend(%s)", [session.pid])
        session.go.release()
        self._await(session)
        while self._monitor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [session.pid]).fetchone():
            pass  # until the database has noticed, its locks are held
        self._await(*self._released())

    def leave(self) -> None:
        """Kill who is left, and end the threads."""
        for session in list(self.open):
            self.kill(session)
        for player in self._free:
            player.leave()
        self._free.clear()

    def _await(self, *sessions: Session) -> None:
        """Return once nobody runs: they have stopped, or wait for a lock, and so does everybody who was released."""
        running, patience = set(sessions), LOOK_EVERY
        while running:
            try:
                arrived = self._back.get(timeout=patience)
            except Empty:
                patience *= 1.5
                for each in running & self._find_blocked():
                    each.is_blocked = True
                    running.remove(each)
                continue
            arrived.is_blocked = False
            running.discard(arrived)
            if arrived.is_over:
                self.open.remove(arrived)
                self._free.append(self._players.pop(arrived))
            if not running:
                running |= self._released()

    def _released(self) -> set[Session]:
        """Return who waits for nobody any more, and so runs."""
        waiting = {session for session in self.open if session.is_blocked}
        released = waiting - self._find_blocked() if waiting else waiting
        for session in released:
            session.is_blocked = False
        return released

    def _find_blocked(self) -> set[Session]:
        """Return who waits for a lock of somebody who does not run; a ring of waits the database will break."""
        by_pid = {session.pid: session for session in self.open if session.pid}
        rows = self._monitor.execute(BLOCKERS, [list(by_pid)]).fetchall()
        blockers = {by_pid[pid]: {by_pid[each] for each in pids if each in by_pid} for pid, pids in rows if pids}

        def ends(session: Session, seen: frozenset[Session]) -> bool:
            return session not in seen and (
                session not in blockers or any(ends(each, seen | {session}) for each in blockers[session])
            )

        return {session for session, others in blockers.items() if others and ends(session, frozenset())}


@contextmanager
def stage(monitor: psycopg.Connection[Any], version: Callable[[], int]) -> Iterator[Stage]:
    """Have a stage for the time of a block; nobody is left on it afterwards."""
    with patch.object(DatabaseWrapper, "_commit", _ask_and_commit):
        built = Stage(monitor, version)
        try:
            yield built
        finally:
            built.leave()
