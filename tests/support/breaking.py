"""What breaks a run at a moment that is made sure of, and what brings it to its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, cast

import psutil
import psycopg
from django.db import connection
from django.utils import timezone

from cronjobs import nightly, starting
from cronjobs.models import Run, RunItem
from cronjobs.sweep import sweep
from tests.support.crowd import Crowd
from tests.support.processes import (
    PATIENCE,
    PROJECT,
    Process,
    live_environment,
    running,
    wait_until,
)

SIX_MINUTES = timedelta(minutes=6)  # more than NIGHTLY_STUCK_SECONDS


class Hold:
    """A row lock on some mentors: whoever works on them stands still in the middle of a transaction."""

    def __init__(self, connection: psycopg.Connection[Any], mentor_ids: Sequence[int]) -> None:
        self.connection = connection
        connection.execute(
            "SELECT 1 FROM mentors_mentor WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(mentor_ids)]
        )

    def waiting(self) -> list[int]:
        """List the backends that wait for it."""
        return column(
            "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))",
            self.connection.info.backend_pid,
        )

    def release(self) -> None:
        self.connection.rollback()


@contextmanager
def hold(*mentor_ids: int) -> Iterator[Hold]:
    with psycopg.connect(live_environment()["DATABASE_URL"]) as connection:
        held = Hold(connection, mentor_ids)
        yield held
        held.release()


def column(sql: str, *params: int | list[int]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def terminate(backends: Collection[int]) -> None:
    """End the connections from the server's side, and wait until they are gone with their locks."""
    column("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", list(backends))
    wait_until(lambda: not set(backends) & set(other_backends()), what="the end of the connections")


def other_backends() -> list[int]:
    return column(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )


def kill_children(process: Process) -> None:
    """Kill the pool's processes and not the one that leads them."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


@contextmanager
def broken_row(mentor_id: int) -> Iterator[None]:
    """Let the database refuse every change of one mentor."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;"
            " CREATE TRIGGER refuse BEFORE UPDATE ON mentors_mentor"
            f" FOR EACH ROW WHEN (NEW.id = {mentor_id:d}) EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION refuse CASCADE")


AT_ONCE = """
import os, sys, traceback, django; django.setup()
from django.db import connection
from django.utils import timezone
from cronjobs import starting
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob
from cronjobs.sweep import sweep

for _ in range({count}):
    if os.fork() == 0:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock_shared(1)")
            {statement}
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
sys.exit(any([os.wait()[1] for _ in range({count})]))
"""
AT_THE_GATE = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND %s = ANY(pg_blocking_pids(pid))
"""


def do_at_once(count: int, statement: str) -> str:
    """Execute the statement in so many processes, which wait for each other at a gate; return what they wrote."""
    command = (sys.executable, "-c", AT_ONCE.format(count=count, statement=statement))
    with (
        psycopg.connect(live_environment()["DATABASE_URL"], autocommit=True) as gate,
        running(*command, env=live_environment()) as processes,
    ):
        gate.execute("SELECT pg_advisory_lock(1)")
        processes.wait_until(lambda: column(AT_THE_GATE, gate.info.backend_pid) == [count], what="the gate")
        gate.execute("SELECT pg_advisory_unlock(1)")
        wait_until(lambda: processes.has_ended, what="the end of all processes")
        assert processes.popen.returncode == 0, processes.output
        return processes.output


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int
    stdout: str
    complaints: list[str]  # lines of standard error that are not the log's

    @property
    def run(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.stdout)["run"])


@contextmanager
def nightly_command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start `manage.py nightly` for the time of a block."""
    command = [sys.executable, "manage.py", "nightly", "--organisation=hlf", "--format=json", *arguments]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=live_environment(**environment),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome_of(process: subprocess.Popen[str]) -> Outcome:
    stdout, stderr = process.communicate(timeout=PATIENCE)
    complaints = [line for line in stderr.splitlines() if not line.startswith("{")]
    return Outcome(code=process.returncode, stdout=stdout, complaints=complaints)


def run_command(*arguments: str, **environment: str) -> Outcome:
    with nightly_command(*arguments, **environment) as process:
        return outcome_of(process)


def start_night(crowd: Crowd) -> Run:
    return starting.execute_expiry_check(
        organisation=crowd.organisation, actions=nightly.ALL_ACTIONS, now=timezone.now()
    )


def only_run(crowd: Crowd) -> Run:
    return Run.objects.get(organisation=crowd.organisation)


def is_closed(run: Run) -> bool:
    return not Run.objects.open().filter(pk=run.pk).exists()


def done_and_pending(run: Run) -> tuple[int, int]:
    items = RunItem.objects.filter(run=run)
    return items.filter(status=RunItem.Status.DONE).count(), items.pending().count()


def assert_mid_run(run: Run) -> None:
    done, pending = done_and_pending(run)
    assert done > 0
    assert pending > 0


def bring_to_its_end(run: Run, sweep_once: Callable[[], object] | None = None) -> None:
    """Sweep as beat does, until the run is closed. The clock is put forward instead of waited for."""
    later = count(1)

    def in_process() -> None:
        sweep(now=timezone.now() + next(later) * SIX_MINUTES)

    def closed_after_a_sweep() -> bool:
        (sweep_once or in_process)()
        with suppress(AssertionError):
            wait_until(lambda: is_closed(run), seconds=3)
        return is_closed(run)

    wait_until(closed_after_a_sweep, what="the end of the run")
