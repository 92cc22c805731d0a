"""The schema and the server say the same: schemathesis asks every operation for trouble, as each role."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from knox.models import AuthToken

from mentors.models import User
from tests.support.processes import PROJECT, live_environment, running, web
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


@pytest.mark.parametrize("role", ["chapter", "lead", "auditor", "superuser", "anonymous"])
def test_no_operation_breaks_and_all_answers_are_in_the_schema(world: World, role: str) -> None:
    user = world.users[role]
    with web() as api:
        code, output = schemathesis(api, user, *(f"--exclude-operation-id={ending}" for ending in ENDINGS))

    assert code == 0, output


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_token_is_in_the_schema_too(world: World, ending: str) -> None:
    with web() as api:
        code, output = schemathesis(api, world.users["lead"], f"--include-operation-id={ending}")

    assert code == 0, output


def schemathesis(api: str, user: User | None, *options: str) -> tuple[int, str]:
    """Run it as the user; return its exit code and what it has to say."""
    login = (f"--header=Authorization: Token {AuthToken.objects.create(user)[1]}",) if user else ()
    command = (
        "schemathesis", f"--config-file={PROJECT}/tests/acceptance/schemathesis.toml", "run", f"{api}/api/v1/schema",
        "--checks=all", f"--max-examples={EXAMPLES}", "--workers=1", "--continue-on-failure", "--no-color",
        "--generation-database=none", *login, *options,
    )  # fmt: skip
    # It leaves a folder of what it found where it is started.
    with TemporaryDirectory() as folder, running(*command, env=live_environment(), cwd=Path(folder)) as process:
        code = process.popen.wait(timeout=3600)
        return code, process.output
