"""Beat's own scheduler in this process: its clock is the test's, and what it sends goes to the real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app

from cronjobs.schedules.beat import NightScheduler

StartBeat = Callable[[], NightScheduler]
Facts = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def start_beat(transactional_db: None) -> Iterator[StartBeat]:
    """Make the scheduler that `celery beat` would; it is closed with the test.

    In earnest: beat closes connections as it pleases, which a test's own transaction would not survive.
    """
    started: list[NightScheduler] = []

    def start() -> NightScheduler:
        scheduler = NightScheduler(app=current_app._get_current_object())  # type: ignore[attr-defined]  # a proxy
        started.append(scheduler)
        return scheduler

    yield start
    for scheduler in started:
        scheduler._finalize.cancel()  # or it would write to the database as the test process ends
        scheduler._dirty.clear()
        scheduler.close()


@pytest.fixture
def facts(caplog: pytest.LogCaptureFixture) -> Facts:
    """Return the log lines of an event: `facts("slot_sent")`."""
    caplog.set_level("INFO")

    def facts(event_name: str) -> list[dict[str, Any]]:
        lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        return [line for line in lines if line.get("event_name") == event_name]

    return facts


def turn(scheduler: NightScheduler) -> None:
    """Let beat's loop turn until it would sleep."""
    while scheduler.tick() == 0:
        pass
