"""Nudges the delivery task after a commit.

The message names no message: the task takes from the database whatever is due. What Redis loses, the sweep says again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


_muted = ContextVar("muted", default=False)


@contextmanager
def muted() -> Iterator[None]:
    """Nudge nobody: this process delivers by itself, on a night without a broker."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def deliver_after_commit() -> None:
    """Once the transaction is committed, let a worker deliver what is due."""
    transaction.on_commit(_nudge)


def _nudge() -> None:
    if _muted.get():
        return
    try:
        current_app.send_task("notifications.deliver")
    except OperationalError:
        log.warning("the broker did not take a delivery; the sweep will", event_name="broker_unavailable")
