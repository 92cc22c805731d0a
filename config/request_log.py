"""A line in the log for each request that changes something, and an id by which all its lines belong together.

A line has the address's pattern and not the address, which may be the link in somebody's message; no query string, no
body, no name. Who it was stands there as the number of the user.
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
    """Django's middleware; the outermost, so that it sees what the others answer. The id is in `X-Request-ID` too."""

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
    # What broke the request may break the look into the session as well.
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
