"""Histories that hypothesis invents: whatever people, settings, clocks, workers and mail do, the laws hold.

`make simulate SEEDS=1000 SEED=7 STEPS=50` plays other ones; a history that breaks a law is made as short as it can be.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack
from random import SystemRandom
from time import perf_counter

import hypothesis
import psycopg
import pytest
import time_machine
from django.db import connection
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test
from pytest_django import Settings

from tests.acceptance.simulator.judge import Violation
from tests.acceptance.simulator.machine import BEGINS_AT, YEARS, History, Theatre
from tests.acceptance.simulator.sessions import stage
from tests.acceptance.simulator.surroundings import surroundings
from tests.acceptance.simulator.world import TOOLS, prepare_world
from tests.support.servers import url_of

SEEDS = int(os.environ.get("SEEDS") or 15)
# A gate plays the same histories each time; who explores plays others, and is told which.
SEED = int(os.environ.get("SEED") or (SystemRandom().randrange(10**6) if "SEEDS" in os.environ else 14))
STEPS = int(os.environ.get("STEPS") or 50)
# What never happens proves nothing. This happens in any fifty histories; how often everything did is printed.
EVERYTHING = (
    "pause done", "pause skipped", "remind done", "remind skipped", "run missed", "waits for a lock", "3 sessions",
    "pause sent", "handover sent",
)  # fmt: skip
# A session that dies leaves its cursors behind, as a process does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SHRINKS = "NO_SHRINK" not in os.environ


@pytest.fixture
def theatre(transactional_db: None, settings: Settings) -> Iterator[Theatre]:
    settings.EMAIL_BACKEND = "tests.acceptance.simulator.surroundings.Mail"
    settings.DELIVERY_RATES = {}
    settings.DELIVERY_BATCH_SIZE = 4
    settings.NIGHTLY_MAX_SUBTASKS = 2
    settings.RECORDS_YEARS = YEARS
    database = str(connection.settings_dict["NAME"])
    with ExitStack() as undo:
        logging.disable()  # of what hundreds of nights say, nobody reads a word
        undo.callback(logging.disable, logging.NOTSET)
        monitor = undo.enter_context(psycopg.connect(url_of(database), autocommit=True))
        monitor.execute(f"ALTER DATABASE {database} SET deadlock_timeout = '30ms'")
        monitor.execute(TOOLS)
        clock = undo.enter_context(time_machine.travel(BEGINS_AT, tick=False))
        prepare_world(now=BEGINS_AT)
        post, queue = undo.enter_context(surroundings())
        built = Theatre(monitor, clock, post, queue)
        built.stage = undo.enter_context(stage(monitor, lambda: built.version))
        yield built


def play(theatre: Theatre, histories: int, *, seed: int) -> None:
    """Play so many histories of the seed; raise what the shortest does that breaks a law."""
    machine = hypothesis.seed(seed)(type("History", (History,), {"theatre": theatre}))
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


def play_and_tell(theatre: Theatre, histories: int, *, seed: int) -> None:
    """Play them, and fail with the story of the shortest that breaks a law; say what has happened in all of them."""
    began = perf_counter()
    try:
        play(theatre, histories, seed=seed)
    except Violation as violation:
        story = "\n".join([str(violation), *violation.__notes__])
        pytest.fail(f"SEED={seed}, after {theatre.histories} histories: {story}", pytrace=False)
    finally:
        seconds = perf_counter() - began
        print(f"SEED={seed}: {theatre.histories} histories, {theatre.steps} looks, {seconds:.0f} seconds")
        print("; ".join(f"{what} {count}" for what, count in sorted(theatre.acted.items())))


@pytest.mark.canary
@pytest.mark.timeout(60 + 60 * SEEDS)
def test_no_history_breaks_a_law(theatre: Theatre) -> None:
    play_and_tell(theatre, SEEDS, seed=SEED)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(3))
def test_no_history_of_many_breaks_a_law_and_everything_happens(theatre: Theatre, part: int) -> None:
    play_and_tell(theatre, 50, seed=1000 + part)

    never = {what for what in EVERYTHING if not theatre.acted[what]}
    assert not never
