"""The delivery task: it takes what is due, and calls itself again while there is more."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from certifications.truth import find_outdated
from notifications import queue
from notifications.delivery import deliver_batch


@shared_task(name="notifications.deliver")
def deliver() -> None:
    """Deliver a batch of what is due, checked once more (rule 8)."""
    if deliver_batch(now=timezone.now(), find_outdated=find_outdated):
        queue.deliver_after_commit()
