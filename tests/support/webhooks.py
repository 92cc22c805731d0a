"""Sending to an app, past the table of messages."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from notifications.channel import Envelope, Undelivered
from notifications.channels.webhook import CHANNEL
from notifications.messages.context import gather, read_notifications
from notifications.messages.payload import payload_of
from notifications.messages.render import render_message
from notifications.models import Notification
from notifications.rendered_message import Paragraph, RenderedMessage
from tests.support.processes import PROJECT

SECRET = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdA=="
ANOTHER = "whsec_YW5vdGhlci1zZWNyZXQtYWx0b2dldGhlcg=="
LETTER = RenderedMessage(
    language="nb",
    subject="Kurset ditt går ut",
    short="Kurset ditt går ut 28. november.",
    greeting="Hei, Liv!",
    blocks=(Paragraph(text="Kurset ditt går ut 28. november."),),
    footer=(),
)


def envelope(url: str, *, written_at: datetime | None = None, **fields: Any) -> Envelope:
    values: dict[str, Any] = {
        "message_id": "<1.2b6c@nattevakt.example>",
        "secrets": (SECRET,),
        "payload": lambda: {"data": {"subject": "Blåbærsyltetøy"}},
    }
    return Envelope(
        address=url, rendered=LETTER, sender="HLF", written_at=written_at or timezone.now(), **values | fields
    )


def send(*envelopes: Envelope) -> None:
    with CHANNEL.connect() as post:
        for each in envelopes:
            post(each)


def refusal(url: str) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(envelope(url))
    return caught.value


def payload(notification: Notification, now: datetime) -> Any:
    """Return what the app would be told, as it arrives."""
    [message] = gather(read_notifications().filter(pk=notification.pk), now=now)
    return json.loads(json.dumps(payload_of(message, render_message(message))))


def blocks(language: str) -> list[str]:
    text = (PROJECT / "docs/webhooks.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
