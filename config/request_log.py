"""One log line for each request that changes something, and a request id in all log lines of a request.

A line has the pattern of the path and not the path, which may contain the token of a person's link. It has no query
string, no body and no name; the user is logged by id.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponseBase
from structlog.contextvars import bind_contextvars, clear_contextvars

log = structlog.get_logger(__name__)

READING = ("GET", "HEAD", "OPTIONS")
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def request_log(get_response: GetResponse) -> GetResponse:
    """A Django middleware; outside of all that answer themselves. The id is in `X-Request-ID` too."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        began, request_id = monotonic(), uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        try:
            response = get_response(request)
            response["X-Request-ID"] = request_id
            if request.method not in READING:
                _log(request, response, seconds=monotonic() - began)
        finally:
            clear_contextvars()
        return response

    return answer


def _log(request: HttpRequest, response: HttpResponseBase, *, seconds: float) -> None:
    # The error that broke the request may also break reading the session.
    user = getattr(request, "user", None) if response.status_code < 500 else None
    log.info(
        "request answered",
        event_name="request",
        method=request.method,
        route=request.resolver_match.route if request.resolver_match else None,
        status=response.status_code,
        user=user.pk if user else None,
        seconds=round(seconds, 3),
    )
