"""Messages that come back: samples of mail servers, and what became of the address."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mentors.models import Organisation
from notifications.models import BadAddress, Notification
from tests.support.processes import PROJECT

SAMPLES = PROJECT / "tests/notifications/bounces"
MESSAGE_ID = "<{pk}.6f1b2c3d-0a1b-4c2d-8e3f-5a6b7c8d9e0f@example.org>"
FORGED_ID = "<{pk}.00000000-0000-4000-8000-000000000000@example.org>"


def sample(name: str, message_id: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes().replace(b"@@MESSAGE_ID@@", message_id.encode())


def write_message(organisation: Organisation, now: datetime, **fields: Any) -> Notification:
    values = {
        "dedupe_key": f"test:{Notification.objects.count()}",
        "kind": "night",
        "channel": "email",
        "language": "nb",
        "context": {"events": []},
        "status": "sent",
        "sent_at": now,
        "created_at": now,
    } | fields
    row = Notification.objects.create(organisation=organisation, **values)
    row.message_id = MESSAGE_ID.format(pk=row.pk)
    row.save()
    return row


def told(channel: str = "inbox") -> list[tuple[str, str]]:
    """Return who was told by the channel that an address is bad, and of whom."""
    rows = Notification.objects.filter(kind="bounced", channel=channel).order_by("pk")
    return [
        (row.recipient_user.username if row.recipient_user else "operations", row.about.ref if row.about else "")
        for row in rows
    ]


def marked() -> list[tuple[str, str]]:
    return list(BadAddress.objects.order_by("pk").values_list("channel", "address"))
