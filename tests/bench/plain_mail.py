"""The plain way to send: one task a message, one `send_mail` each. The words are the same, and so are their forms."""

from __future__ import annotations

from celery import shared_task
from django.core.mail import send_mail
from django.utils import timezone

from mentors.models import Mentor
from notifications.channel import Recipient
from notifications.links import links_of
from notifications.messages.context import Message, NotificationEvent
from notifications.messages.render import render_message
from notifications.models import Notification
from notifications.rendered_message import as_html, as_text


@shared_task(name="bench.send_mail")
def send_one(notification_id: int) -> None:
    row = Notification.objects.select_related("organisation", "recipient_mentor").get(pk=notification_id)
    rendered = render_message(_message(row))
    send_mail(rendered.subject, as_text(rendered), None, [_mentor(row).email], html_message=as_html(rendered))
    row.status, row.sent_at, row.next_attempt_at = Notification.Status.SENT, timezone.now(), None
    row.save(update_fields=["status", "sent_at", "next_attempt_at"])


def _message(row: Notification) -> Message:
    mentor = _mentor(row)
    facts = row.context["events"]
    return Message(
        notification=row,
        today=row.organisation.local_date(timezone.now()),
        recipient=Recipient(email=mentor.email),
        recipient_name=mentor.name,
        events=[NotificationEvent(kind=Notification.Kind(fact["kind"]), mentor=mentor, facts=fact) for fact in facts],
        links=links_of(row),
    )


def _mentor(row: Notification) -> Mentor:
    assert row.recipient_mentor is not None
    return row.recipient_mentor
