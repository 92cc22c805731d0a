"""Several at the same moment, in threads with connections of their own: the test commits (`transaction=True`)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import connection

from tests.support.databases import ask
from tests.support.processes import PATIENCE, wait_until


def run_at_once(*functions: Callable[[], object]) -> list[object]:
    """Call the functions at the same moment; return what each returned or raised."""
    results: list[object] = [None] * len(functions)
    barrier = Barrier(len(functions), timeout=PATIENCE)

    def call(number: int, function: Callable[[], object]) -> None:
        try:
            barrier.wait()
            results[number] = function()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not [thread for thread in threads if thread.is_alive()], "somebody has not come back"
    return results


def wait_until_somebody_waits() -> None:
    """Go on once another connection waits for a lock that this transaction holds."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    wait_until(lambda: ask(waiting), what="somebody who waits for our lock")
