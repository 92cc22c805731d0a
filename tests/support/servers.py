"""A pytest plugin: real PostgreSQL and Redis for the tests, started before Django reads its settings.

DATABASE_URL and REDIS_URL in the environment are used instead. Each test process has a database and a Redis database of
its own, by a number that no other has, so several runs at once do no harm to each other. The servers stop with the last
run; their data stay, for the template in it (databases.py).
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from config.embedded import development_environment

NAME = "test"
SLOTS = range(1, 16)  # of the sixteen databases of a Redis all but the first, which may be somebody's
LOCK = 0x736C6F74  # "slot"

_servers = ExitStack()
atexit.register(_servers.close)  # pytest does not say goodbye when a conftest cannot be imported


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    os.environ |= _servers.enter_context(development_environment(NAME, scratch=True))
    os.environ["DEBUG"] = "false"
    os.environ["EMAIL_URL"] = "memory:"
    os.environ["SECOND_FACTOR_REQUIRED"] = "false"  # most tests are about something else
    os.environ |= dict.fromkeys(("API_RATE_USER", "API_RATE_ADDRESS", "API_RATE_LOGIN", "PAGE_RATE_ADDRESS"), "")
    os.environ["SECURE_SSL_REDIRECT"] = "false"
    holder = _servers.enter_context(psycopg.connect(url_of("postgres"), autocommit=True))
    slot = _take_slot(holder)
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{slot}").geturl()
    os.environ["TEST_DATABASE"] = f"test_nattevakt_{slot}"


def pytest_unconfigure() -> None:
    _servers.close()


def url_of(database: str) -> str:
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}").geturl()


def _take_slot(holder: psycopg.Connection[Any]) -> int:
    """Find a number that no other test process of this server has; it is ours as long as the connection lives."""
    for slot in SLOTS:
        if holder.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, slot]).fetchone() == (True,):
            return slot
    raise pytest.UsageError(f"{len(SLOTS)} test processes use this server already.")
