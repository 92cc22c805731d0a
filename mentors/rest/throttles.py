"""How often one may ask: each user, and each address without one. Counted in Redis, for all processes together.

When Redis is away the API goes on unthrottled. Passwords are guarded all the same: django-axes counts in the database.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import redis
import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle, SimpleRateThrottle, UserRateThrottle

from mentors.rest.refusal import refuse

log = structlog.get_logger(__name__)


class FailOpen(SimpleRateThrottle):
    def allow_request(self, request: Request, view: Any) -> bool:
        try:
            return super().allow_request(request, view)
        except redis.RedisError as error:
            log.warning("not throttled", event_name="throttle_open", error=type(error).__name__)
            return True


class PerUser(FailOpen, UserRateThrottle):
    """A user, by id; somebody who is not logged in is counted by address alone."""

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not request.user.is_authenticated:
            return None
        return super().get_cache_key(request, view)


class PerAddress(FailOpen, AnonRateThrottle):
    """An address without a login."""


class PerLogin(FailOpen, AnonRateThrottle):
    """An address that tries to log in, at the desk or by the API, or asks for a new password."""

    scope = "login"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Count whoever is logged in as well: they may try other names."""
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class PerVisitor(FailOpen, AnonRateThrottle):
    """An address that looks at pages which need no login. It is not asked who they are: no such page has a session."""

    scope = "page"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


def throttled(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer 429 to an address that asks for this page, or for others like it, more often than PAGE_RATE_ADDRESS."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        throttle = PerVisitor()
        if throttle.allow_request(request, None):  # type: ignore[arg-type]  # all it reads are the headers
            return view(request, *args, **kwargs)
        return refuse(request, Throttled(throttle.wait()))

    return answer


def client_address(request: HttpRequest) -> str:
    """Return the address that throttles and locks count by: X-Forwarded-For only as far as TRUSTED_PROXIES say."""
    return PerAddress().get_ident(request)  # type: ignore[arg-type]  # all it reads are the headers
