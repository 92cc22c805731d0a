"""The schema and the server say the same: schemathesis asks every operation for trouble, as each role."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import requests
from knox.models import AuthToken

from mentors.models import User
from tests.support.processes import PATIENCE, PROJECT, live_environment, running, web
from tests.support.world import World, build_world

pytestmark = [pytest.mark.processes, pytest.mark.timeout(3600), pytest.mark.django_db(transaction=True)]

# How many an operation and role: few in every run of the tests; `EXAMPLES=200 make test PYTEST="-k contract"` for more.
EXAMPLES = os.environ.get("EXAMPLES", "10")
# They end the token with which everything else is asked.
ENDINGS = ("logout", "logout_all")


@pytest.fixture
def world() -> World:
    now = datetime.now(UTC)
    return build_world(today=now.date(), now=now)


EVERYTHING_ELSE = [f"--exclude-operation-id={ending}" for ending in ENDINGS]


@pytest.mark.canary
def test_a_few_questions_of_a_chapters_coordinator_break_nothing(world: World) -> None:
    """All operations, without the thousands of cases that the phase of coverage always asks."""
    phases = "--phases=examples,fuzzing,stateful"

    code, output = schemathesis(world.users["chapter"], phases, *EVERYTHING_ELSE, examples="5")

    assert code == 0, output


@pytest.mark.parametrize("role", ["chapter", "lead", "auditor", "superuser", "anonymous"])
def test_no_operation_breaks_and_all_answers_are_in_the_schema(world: World, role: str) -> None:
    code, output = schemathesis(world.users[role], *EVERYTHING_ELSE)

    assert code == 0, output


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_token_is_in_the_schema_too(world: World, ending: str) -> None:
    code, output = schemathesis(world.users["lead"], f"--include-operation-id={ending}")

    assert code == 0, output


def schemathesis(user: User | None, *options: str, examples: str = EXAMPLES) -> tuple[int, str]:
    """Run it as the user; return its exit code and what it has to say."""
    login = (f"--header=Authorization: Token {AuthToken.objects.create(user)[1]}",) if user else ()
    # It leaves a folder of what it found where it is started. It asks one thing after the other: one thread will do.
    with TemporaryDirectory() as folder, web(processes=1, threads=1) as api:
        schema = Path(folder, "schema.yaml")
        schema.write_bytes(requests.get(f"{api}/api/v1/schema", timeout=PATIENCE).content)
        command = (
            "schemathesis", f"--config-file={PROJECT}/tests/acceptance/schemathesis.toml", "run", str(schema),
            f"--url={api}", "--checks=all", f"--max-examples={examples}", "--workers=1", "--continue-on-failure",
            "--no-color", "--generation-database=none", f"--request-timeout={PATIENCE:.0f}", *login, *options,
        )  # fmt: skip
        with running(*command, env=live_environment(), cwd=Path(folder)) as process:
            code = process.popen.wait(timeout=3600)
            return code, process.output
