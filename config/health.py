"""Health checks for load balancers and orchestrators: is the process alive, and can it do its work?

`/healthz` checks the process alone, so that an outage of the database restarts no process. `/readyz` also checks what
the process needs. `/healthz/nightly` checks whether every job ran in time. They are open to everybody, and show only
names of checks and jobs and what is wrong. As everywhere, the Host header must be one of ALLOWED_HOSTS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg
import structlog
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cronjobs.monitoring.problems import last_nights

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2
OK = "ok"


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": OK})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Say whether the services that the process needs answer: 200 if all do, else 503."""
    checks = {name: _answer(name, check) for name, check in CHECKS.items()}
    ready = all(answer == OK for answer in checks.values())
    return JsonResponse({"status": OK if ready else "unavailable", "checks": checks}, status=200 if ready else 503)


@require_safe
@never_cache
def nightly(_request: HttpRequest) -> JsonResponse:
    """Say whether the last due slot of every enabled job succeeded in time: 200, else 503 with the jobs and reasons."""
    unavailable = JsonResponse({"status": "unavailable", "jobs": []}, status=503)
    if _answer("database", check_database) != OK:
        return unavailable
    try:
        nights = last_nights(now=timezone.now())
    except Exception as error:  # whoever asks wants to know whether the nights are in order, and this is a no
        log.warning("not ready", event_name="not_ready", check="nights", error=type(error).__name__)
        return unavailable
    in_order = not any(night.fault for night in nights)
    jobs = [
        {
            "organisation": night.organisation,
            "job": night.job,
            "slot": night.slot,
            "status": "problem" if night.fault else OK,
            "reason": night.fault.in_english(),
        }
        for night in nights
    ]
    body = {"status": OK if in_order else "problem", "jobs": jobs}
    return JsonResponse(body, status=200 if in_order else 503)


def _answer(name: str, check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        # The answer is the same for every error: its text may quote the URL with the password.
        log.warning("not ready", event_name="not_ready", check=name, error=type(error).__name__)
        return "no answer"


def check_database() -> str:
    with _connect() as database:
        database.execute("SELECT 1")
    return OK


def check_migrations() -> str:
    with _connect() as database:
        applied = set(database.execute("SELECT app, name FROM django_migrations").fetchall())
    missing = len(_migrations() - applied)
    return f"{missing} not applied" if missing else OK


def check_broker() -> str:
    """Connect as the workers do, but with a short timeout."""
    timeouts = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
    with current_app.connection_for_write(settings.REDIS_URL, transport_options=timeouts) as broker:
        broker.transport.establish_connection()  # the Redis transport sends a PING
    return OK


CHECKS: dict[str, Callable[[], str]] = {
    "database": check_database,
    "broker": check_broker,
    "migrations": check_migrations,
}


def _connect() -> psycopg.Connection[Any]:
    """Open a new connection: one that is kept from an earlier request could hang if the server is gone."""
    params = connection.get_connection_params()
    timeouts = {
        "connect_timeout": TIMEOUT_SECONDS,
        "tcp_user_timeout": TIMEOUT_SECONDS * 1000,
        "options": f"{params.get('options', '')} -c statement_timeout={TIMEOUT_SECONDS * 1000}",
    }
    return psycopg.connect(**params | timeouts)


@cache
def _migrations() -> set[tuple[str, str]]:
    """Return the (app, name) of every migration of this code; a squashed one counts as those that it replaces."""
    return set(MigrationLoader(None).disk_migrations or ())
