"""Where messages are written down: the rows of one call, in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection

from mentors.models import Mentor, Organisation
from notifications import dispatch
from notifications.channels import CHANNELS, INBOX, OPERATIONS
from notifications.models import Notification, Preference
from notifications.recipients import Coordinator, channel_for_mentor

log = structlog.get_logger(__name__)

# One parameter for all rows: a night writes tens of thousands, and as model instances they take longer to be made and
# bound than the database takes to store them.
WRITE_ROWS = """
    INSERT INTO notifications_notification (
        dedupe_key, organisation_id, kind, channel, recipient_user_id, recipient_mentor_id, about_id, run_id, language,
        context, told_by_itself, status, attempts, next_attempt_at, sent_at, message_id, error, created_at
    )
    SELECT dedupe_key, %(organisation)s, kind, channel, recipient_user_id, recipient_mentor_id, about_id, %(run_id)s,
           language, context, told_by_itself, status, 0, next_attempt_at, sent_at, '', '[]', %(now)s
    FROM json_to_recordset(%(rows)s) AS row (
        dedupe_key text, kind text, channel text, recipient_user_id bigint, recipient_mentor_id bigint, about_id bigint,
        language text, context jsonb, told_by_itself boolean, status text, next_attempt_at timestamptz,
        sent_at timestamptz
    )
    ON CONFLICT (dedupe_key) DO NOTHING
"""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, or is due, to one mentor."""

    kind: Notification.Kind
    mentor_id: int
    key: str  # unique to the happening, so that it is told once
    to_mentor: bool = True  # or to the coordinators alone
    item_id: int | None = None  # of a run: what it does again, after nobody was told, is told to the mentor again
    facts: dict[str, Any] = field(default_factory=dict)  # JSON: what a message needs to know later


class Outbox:
    """Collects the rows of one call, and writes them."""

    def __init__(self, *, organisation: Organisation, now: datetime, run_id: UUID | None) -> None:
        self.organisation = organisation
        self.now = now
        self.run_id = run_id
        self.leaves_at = organisation.next_sending_time(now)
        self.rows: list[dict[str, Any]] = []

    def tell_coordinator(
        self,
        coordinator: Coordinator,
        kind: Notification.Kind,
        key: str,
        facts: dict[str, Any],
        *,
        about_id: int | None = None,
        at_once: bool = False,
    ) -> None:
        """Write to the inbox, and by the coordinator's own channel if each thing is wanted by itself, or at once."""
        by_itself = at_once or coordinator.mail == Preference.Mail.EACH
        for channel in [INBOX, coordinator.channel] if by_itself else [INBOX]:
            self.add(
                kind,
                channel,
                key,
                facts,
                language=coordinator.language,
                recipient_user_id=coordinator.user_id,
                about_id=about_id,
                told_by_itself=by_itself,
            )

    def tell_mentor(self, mentor: Mentor, events: Sequence[Event]) -> Sequence[Event]:
        """Write one message for all that is due; return what it tells.

        A paused mentor's reminders go to coordinators only (rule 12), and some have no address.
        """
        events = [event for event in events if event.to_mentor]
        if mentor.status == Mentor.Status.PAUSED:
            events = [event for event in events if event.kind != Notification.Kind.REMIND]
        channel = channel_for_mentor(mentor, self.organisation) if events else None
        if channel is None:
            return []
        first = events[0]
        self.add(
            Notification.Kind.NIGHT,
            channel,
            f"{first.key}:{first.item_id}" if first.item_id else first.key,
            {"events": [as_facts(event) for event in events]},
            language=mentor.language,
            recipient_mentor_id=mentor.pk,
            about_id=mentor.pk,
        )
        return events

    def tell_operations(self, kind: Notification.Kind, key: str, facts: dict[str, Any]) -> None:
        log.warning("operations warned", event_name=kind, organisation=self.organisation.slug, run_id=str(self.run_id))
        self.add(kind, OPERATIONS, key, facts)

    def add(
        self,
        kind: Notification.Kind,
        channel: str,
        key: str,
        facts: dict[str, Any],
        *,
        language: str = "",
        recipient_user_id: int | None = None,
        recipient_mentor_id: int | None = None,
        about_id: int | None = None,
        told_by_itself: bool = False,
        at_any_hour: bool = False,
    ) -> None:
        in_the_inbox = channel == INBOX
        leaves_at = self.leaves_at if CHANNELS[channel].keeps_hours and not at_any_hour else self.now
        recipient = recipient_user_id or (recipient_mentor_id and "mentor") or "operations"
        self.rows.append(
            {
                "dedupe_key": f"{key}:{channel}:{recipient}",
                "kind": kind,
                "channel": channel,
                "recipient_user_id": recipient_user_id,
                "recipient_mentor_id": recipient_mentor_id,
                "about_id": about_id,
                "language": language or self.organisation.language,
                "context": facts,
                "told_by_itself": told_by_itself,
                "status": Notification.Status.SENT if in_the_inbox else Notification.Status.QUEUED,
                "next_attempt_at": None if in_the_inbox else leaves_at,
                "sent_at": self.now if in_the_inbox else None,
            }
        )

    def write(self) -> None:
        if not self.rows:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                WRITE_ROWS,
                {
                    "rows": json.dumps(self.rows, default=datetime.isoformat),
                    "organisation": self.organisation.pk,
                    "run_id": self.run_id,
                    "now": self.now,
                },
            )
        if any(row["next_attempt_at"] and row["next_attempt_at"] <= self.now for row in self.rows):
            dispatch.deliver_after_commit()


def as_facts(event: Event) -> dict[str, Any]:
    item = {"item": event.item_id} if event.item_id else {}
    return {"kind": event.kind, "key": event.key, **item, **event.facts}
