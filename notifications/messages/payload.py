"""What a program is told of a message: ids and facts beside the words."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from notifications.messages.context import Message, NotificationEvent
from notifications.models import Notification
from notifications.rendered_message import RenderedMessage, as_text


def payload_of(message: Message, rendered: RenderedMessage) -> dict[str, Any]:
    """Return the data of a webhook, as JSON; docs/webhooks.md says what each part means."""
    row = message.notification
    return {
        "type": f"message.{row.kind}",
        "timestamp": row.created_at.astimezone(UTC).isoformat(),
        "data": {
            "id": row.pk,
            "kind": row.kind,
            "organisation": row.organisation.slug,
            "language": rendered.language,
            "recipient": _recipient(row),
            "about": row.about_id,
            "run": str(row.run_id) if row.run_id else None,
            "subject": rendered.subject,
            "text": as_text(rendered),
            "events": [_event(event) for event in message.events],
            "answer_url": message.links.answer or None,
        },
    }


def _recipient(row: Notification) -> dict[str, Any]:
    if mentor := row.recipient_mentor:
        return {"mentor": mentor.pk, "ref": mentor.ref}
    return {"user": row.recipient_user.username} if row.recipient_user else {}


def _event(event: NotificationEvent) -> dict[str, Any]:
    facts = event.facts
    return {
        "kind": event.kind,
        "mentor": event.mentor.pk,
        "types": [code for code in facts.get("types", "").split(",") if code],
        "certification": facts.get("certification_id"),
        "expires_on": facts.get("expires_on"),
        "stage": facts.get("stage"),
        "answer": facts.get("answer"),
    }
