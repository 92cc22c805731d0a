"""How many queries something costs, whatever this process has asked before."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.test.utils import CaptureQueriesContext


def count_queries(call: Callable[[], object]) -> int:
    """Count the queries of a call that has been made once before: what a process keeps (sites, types) is kept by then.

    An answer over HTTP must be 200, and is read to its end.
    """
    _make(call)
    with CaptureQueriesContext(connection) as queries:
        _make(call)
    return len(queries)


def _make(call: Callable[[], object]) -> None:
    answer = call()
    if isinstance(answer, HttpResponse | StreamingHttpResponse):
        assert answer.status_code == 200, answer
        answer.getvalue()  # a stream asks while it is read
