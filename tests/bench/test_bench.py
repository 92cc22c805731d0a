"""The bench itself: it runs, and what it compares does the same work. Never how long it takes."""

from __future__ import annotations

import sys

import pytest

from tests.support.processes import live_environment, running


@pytest.mark.processes
@pytest.mark.timeout(1800)
@pytest.mark.django_db(transaction=True)
def test_night_statement_tasks_and_loop_leave_the_same_rows() -> None:
    with running(sys.executable, "-m", "tests.bench", "--small", env=live_environment()) as bench:
        code = bench.popen.wait(1700)

        assert code == 0, bench.output
        assert "| (c) one transaction a mentor in a loop" in bench.output
