"""The delivery task: it takes what is due, and calls itself again while there is more."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from certifications.recheck import recheck_messages
from mentors.models import User
from notifications import delivery, dispatch
from notifications.passwords import send_password_link

# What is due later than that is left to the sweep.
SOON = timedelta(minutes=2)


@shared_task(name="notifications.deliver")
def deliver() -> None:
    """Deliver a batch of what is due, checked once more (rule 8)."""
    if delivery.deliver_batch(now=timezone.now(), recheck_messages=recheck_messages):
        now, next_at = timezone.now(), delivery.next_due_at()
        if next_at and next_at <= now + SOON:
            dispatch.deliver_at(next_at, now=now)


@shared_task(name="notifications.mail_password_link")
def mail_password_link(user_id: int, base_url: str) -> None:
    """Send the link to a new password."""
    send_password_link(User.objects.get(pk=user_id), base_url=base_url)
