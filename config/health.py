"""Health checks for load balancers and orchestrators: is the process alive, and can it do its work?

`/healthz` checks the process alone, so that an outage of the database restarts no process. `/readyz` also checks what
the process needs. `/healthz/nightly` checks whether every job ran in time. They are open to everybody, and so they
cost little: a process asks anew once a second. Organisations and jobs are named only to who may know them. As
everywhere, the Host header must be one of ALLOWED_HOSTS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from secrets import compare_digest
from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

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

from cronjobs.monitoring.problems import NightStatus, last_nights
from mentors.accounts.second_factor import is_satisfied

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 2
REMEMBERED_SECONDS = 1.0
OK = "ok"

T = TypeVar("T")


class Remembered(Generic[T]):
    """A question that this process asks at most once a second, and one thread at a time.

    While a thread asks, the others are told what was answered before: servers that hang hold up one thread and not all.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking = Lock()
        self._known: list[T] = []  # of at most one answer
        self._until = 0.0

    def __call__(self) -> T:
        if not self._is_fresh() and self._asking.acquire(blocking=not self._known):
            try:
                if not self._is_fresh():  # nobody has asked while this thread waited
                    self._known = [self._ask()]
                    self._until = monotonic() + REMEMBERED_SECONDS
            finally:
                self._asking.release()
        return self._known[0]

    def forget(self) -> None:
        self._known = []

    def _is_fresh(self) -> bool:
        return bool(self._known) and monotonic() < self._until


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": OK})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Say whether the services that the process needs answer: 200 if all do, else 503."""
    checks = readiness()
    ready = all(answer == OK for answer in checks.values())
    return JsonResponse({"status": OK if ready else "unavailable", "checks": checks}, status=200 if ready else 503)


@require_safe
@never_cache
def nightly(request: HttpRequest) -> JsonResponse:
    """Say whether the last due slot of every enabled job succeeded in time: 200, else 503.

    Everybody is told how many did and did not; which, and why not, only who may know names.
    """
    nights = last_known_nights()
    if nights is None:
        return JsonResponse({"status": "unavailable"}, status=503)
    statuses = Counter("problem" if night.fault else OK for night in nights)
    in_order = not statuses["problem"]
    body: dict[str, Any] = {
        "status": OK if in_order else "problem",
        "counts": {OK: statuses[OK], "problem": statuses["problem"]},
    }
    if _may_know_names(request):
        body["jobs"] = [
            {
                "organisation": night.organisation,
                "job": night.job,
                "slot": night.slot,
                "status": "problem" if night.fault else OK,
                "reason": night.fault.in_english(),
            }
            for night in nights
        ]
    return JsonResponse(body, status=200 if in_order else 503)


def shows_token(request: HttpRequest) -> bool:
    """Return whether it is a monitor, which knows METRICS_TOKEN; with DEBUG and without a token, anybody is."""
    if not settings.METRICS_TOKEN:
        return bool(settings.DEBUG)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(token.encode(), settings.METRICS_TOKEN.encode())


def _may_know_names(request: HttpRequest) -> bool:
    return shows_token(request) or bool(request.user.is_superuser and is_satisfied(request.user))


def _ask_all() -> dict[str, str]:
    return {name: _answer(name, check) for name, check in CHECKS.items()}


def _ask_for_nights() -> list[NightStatus] | None:
    """Return the last night of every enabled job; None if the database does not answer."""
    if _answer("database", check_database) != OK:
        return None
    try:
        return last_nights(now=timezone.now())
    except Exception as error:  # whoever asks wants to know whether the nights are in order, and this is a no
        log.warning("not ready", event_name="not_ready", check="nights", error=type(error).__name__)
        return None


readiness = Remembered(_ask_all)
last_known_nights = Remembered(_ask_for_nights)


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
