"""A pytest plugin: real PostgreSQL and Redis for the tests, started before Django reads its settings.

DATABASE_URL and REDIS_URL in the environment are used instead. Each process of a parallel run has a test database
and a Redis database of its own. The servers stop with the run; their data stay, for the template in it (databases.py).
"""

from __future__ import annotations

import atexit
import os
import re
from contextlib import ExitStack

import pytest

from config.embedded import development_environment

NAME = "test"

_servers = ExitStack()
atexit.register(_servers.close)  # pytest does not say goodbye when a conftest cannot be imported


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    os.environ |= _servers.enter_context(development_environment(NAME, scratch=True))
    os.environ["DEBUG"] = "false"
    os.environ["EMAIL_URL"] = "memory:"
    os.environ["SECOND_FACTOR_REQUIRED"] = "false"  # most tests are about something else
    os.environ |= {"API_RATE_USER": "", "API_RATE_ADDRESS": "", "API_RATE_LOGIN": "", "SECURE_SSL_REDIRECT": "false"}
    worker = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
    if worker:
        os.environ["REDIS_URL"] = re.sub(r"/\d+$", f"/{int(worker[1]) + 1}", os.environ["REDIS_URL"])


def pytest_unconfigure() -> None:
    _servers.close()
