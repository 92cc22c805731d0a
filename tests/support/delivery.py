"""Delivering what waits, and what became of a message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from certifications.recheck import recheck_messages
from notifications.delivery import deliver_all
from notifications.models import Notification
from tests.conftest import NOW

Write = Callable[..., Notification]  # the fixture `write`


def deliver(now: datetime = NOW) -> None:
    """Deliver all that is due at this time."""
    deliver_all(now=lambda: now, recheck_messages=recheck_messages)


def fate(notification: Notification) -> tuple[str, str]:
    notification.refresh_from_db()
    return notification.status, notification.error.in_english()


def to_the_mentor() -> Notification:
    return Notification.objects.get(recipient_mentor__isnull=False)
