"""Nudges the delivery task after a commit.

The message names no message: the task takes from the database whatever is due. What Redis loses, the sweep says again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

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


def deliver_after_commit(*, workers: int = 1) -> None:
    """Once the transaction is committed, let so many workers deliver what is due."""
    for _ in range(workers):
        transaction.on_commit(_nudge)


def deliver_at(at: datetime, *, now: datetime) -> None:
    """Let a worker deliver what will be due then."""
    _nudge(countdown=max(0.0, (at - now).total_seconds()))


def mail_password_link(user_id: int, *, base_url: str) -> bool:
    """Let a worker send somebody the link to a new password; return whether the broker has taken it."""
    try:
        current_app.send_task("notifications.mail_password_link", [user_id, base_url])
    except OperationalError:
        log.warning("the broker did not take a password link", event_name="broker_unavailable")
        return False
    return True


def _nudge(*, countdown: float = 0) -> None:
    if _muted.get():
        return
    try:
        current_app.send_task("notifications.deliver", countdown=countdown or None)
    except OperationalError:
        log.warning("the broker did not take a delivery; the sweep will", event_name="broker_unavailable")
