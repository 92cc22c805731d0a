"""The plain way to send: one task a message, with the same words, and one `send_mail` each."""

from __future__ import annotations

from celery import shared_task
from django.core.mail import send_mail
from django.utils import timezone

from notifications.messages.letter import as_html, as_text
from notifications.messages.message import gather, read_notifications
from notifications.messages.words import write_letter
from notifications.models import Notification


@shared_task(name="bench.send_mail")
def send_one(notification_id: int) -> None:
    now = timezone.now()
    [message] = gather([read_notifications().get(pk=notification_id)], now=now)
    letter, row = write_letter(message), message.notification
    send_mail(letter.subject, as_text(letter), None, [message.recipient.email], html_message=as_html(letter))
    row.status, row.sent_at, row.next_attempt_at = Notification.Status.SENT, now, None
    row.save(update_fields=["status", "sent_at", "next_attempt_at"])
