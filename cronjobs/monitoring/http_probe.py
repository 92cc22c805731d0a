"""Asking an address whether it is there: heartbeat services, and our own web server."""

from __future__ import annotations

import requests

TIMEOUT_SECONDS = (3, 5)  # to connect, to answer


def answer_of(url: str) -> int:
    """Return the status that the address answers with, or raise requests.RequestException.

    The answer itself is not read: one that never ends would hold up the night, or the watchdog.
    """
    with requests.get(url, timeout=TIMEOUT_SECONDS, stream=True) as answer:
        return answer.status_code
