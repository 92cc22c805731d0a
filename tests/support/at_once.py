"""Several at the same moment, in threads with connections of their own: the test commits (`transaction=True`)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import connection, transaction

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
    wait_until(_somebody_waits, what="somebody who waits for our lock")


def start_beside(function: Callable[[], object]) -> Callable[[], object]:
    """Start a function in a session of its own; go on once it is through, or waits for a lock of this transaction.

    Call what is returned, after the commit, for what it returned or raised.
    """
    results: list[object] = []

    def call() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    def finish() -> object:
        thread.join(PATIENCE)
        assert results, "the other session has not come back"
        return results[0]

    thread = Thread(target=call)
    thread.start()
    wait_until(lambda: not thread.is_alive() or _somebody_waits(), what="the other session, to wait or to be through")
    return finish


def side_by_side(first: Callable[[], object], second: Callable[[], object]) -> list[object]:
    """Call the second while the first's transaction is open; return what each returned or raised."""
    result: object
    try:
        with transaction.atomic():
            result = first()
            finish = start_beside(second)
    except Exception as error:
        result = error
    return [result, finish()]


def _somebody_waits() -> bool:
    return bool(ask("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"))
