"""What the rest of the service says when somebody should be told, and the implementation that writes it down.

`settings.NOTIFICATION_SERVICE` names the class; another one may be put in its place. It is called inside the
transaction that changes a mentor, so it only writes rows; delivery starts after the commit and can undo nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils.module_loading import import_string

from mentors.models import CoordinatorRole, Mentor, Organisation
from notifications import queue
from notifications.models import Notification

log = structlog.get_logger(__name__)

# One parameter for all rows: a night writes tens of thousands, and as model instances they take longer to be made and
# bound than the database takes to store them.
WRITE_ROWS = """
    INSERT INTO notifications_notification (
        dedupe_key, organisation_id, kind, channel, recipient_user_id, recipient_mentor_id, about_id, run_id, language,
        context, status, attempts, next_attempt_at, sent_at, message_id, error, created_at
    )
    SELECT dedupe_key, %(organisation)s, kind, channel, recipient_user_id, recipient_mentor_id, about_id, %(run_id)s,
           language, context, status, 0, next_attempt_at, sent_at, '', '', %(now)s
    FROM json_to_recordset(%(rows)s) AS row (
        dedupe_key text, kind text, channel text, recipient_user_id bigint, recipient_mentor_id bigint, about_id bigint,
        language text, context jsonb, status text, next_attempt_at timestamptz, sent_at timestamptz
    )
    ON CONFLICT (dedupe_key) DO NOTHING
"""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that happened, or is due, to one mentor."""

    kind: Notification.Kind
    mentor_id: int
    key: str  # unique to the happening, so that it is told once
    facts: dict[str, Any] = field(default_factory=dict)  # JSON: what a message needs to know later


class NotificationService(Protocol):
    def announce(
        self, happenings: Sequence[Happening], *, organisation: Organisation, now: datetime, run_id: UUID | None = None
    ) -> None:
        """Tell the mentors and their coordinators (rule 12)."""

    def summarise(self, *, organisation: Organisation, run_id: UUID, facts: dict[str, Any], now: datetime) -> None:
        """Send each coordinator who was told something in the run its digest, where the organisation wants digests."""

    def warn(
        self,
        *,
        organisation: Organisation,
        kind: Notification.Kind,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        run_id: UUID | None = None,
    ) -> None:
        """Tell operations and the organisation-wide coordinators."""


def get_notification_service() -> NotificationService:
    """Return the service that the settings name."""
    service: NotificationService = import_string(settings.NOTIFICATION_SERVICE)()
    return service


class DatabaseNotificationService:
    """Writes `Notification` rows and hands those that may leave now to the delivery task."""

    def announce(
        self, happenings: Sequence[Happening], *, organisation: Organisation, now: datetime, run_id: UUID | None = None
    ) -> None:
        if not happenings:
            return
        needed = Mentor.objects.only("chapter_id", "status", "email", "language")
        mentors = needed.in_bulk({happening.mentor_id for happening in happenings})
        coordinators = _coordinators_by_chapter(organisation, {mentor.chapter_id for mentor in mentors.values()})
        desk = _Desk(organisation=organisation, now=now, run_id=run_id)
        for happening in happenings:
            for user_id in coordinators[mentors[happening.mentor_id].chapter_id]:
                desk.tell_coordinator(user_id, happening)
        for mentor, own in _by_mentor(happenings, mentors):
            desk.tell_mentor(mentor, own)
        if not all(coordinators[mentor.chapter_id] for mentor in mentors.values()):
            desk.tell_operations(
                Notification.Kind.NO_COORDINATOR, f"no_coordinator:{run_id or happenings[0].key}:{organisation.pk}", {}
            )
        desk.write()

    def summarise(self, *, organisation: Organisation, run_id: UUID, facts: dict[str, Any], now: datetime) -> None:
        if organisation.coordinator_mail != Organisation.CoordinatorMail.DIGEST:
            return
        told = Notification.objects.filter(run_id=run_id, channel=Notification.Channel.INBOX)
        desk = _Desk(organisation=organisation, now=now, run_id=run_id)
        for user_id in told.order_by().values_list("recipient_user_id", flat=True).distinct():
            desk.add(
                Notification.Kind.DIGEST,
                Notification.Channel.EMAIL,
                f"digest:{run_id}",
                facts,
                recipient_user_id=user_id,
            )
        desk.write()

    def warn(
        self,
        *,
        organisation: Organisation,
        kind: Notification.Kind,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        run_id: UUID | None = None,
    ) -> None:
        desk = _Desk(organisation=organisation, now=now, run_id=run_id)
        desk.tell_operations(kind, key, facts)
        for user_id in _active_roles(organisation).filter(chapter=None).values_list("user_id", flat=True):
            for channel in (Notification.Channel.INBOX, Notification.Channel.EMAIL):
                desk.add(kind, channel, key, facts, recipient_user_id=user_id)
        desk.write()


def _active_roles(organisation: Organisation) -> Any:
    coordinators = CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR, user__is_active=True)
    return coordinators.filter(organisation=organisation)


def _coordinators_by_chapter(organisation: Organisation, chapter_ids: set[int]) -> dict[int, set[int]]:
    """Return the user ids to tell for each chapter: its own, else the organisation-wide ones (rule 12)."""
    by_chapter: dict[int | None, set[int]] = defaultdict(set)
    roles = _active_roles(organisation).filter(Q(chapter__in=chapter_ids) | Q(chapter=None))
    for chapter_id, user_id in roles.values_list("chapter_id", "user_id"):
        by_chapter[chapter_id].add(user_id)
    return {chapter_id: by_chapter[chapter_id] or by_chapter[None] for chapter_id in chapter_ids}


def _by_mentor(happenings: Iterable[Happening], mentors: dict[int, Mentor]) -> Iterable[tuple[Mentor, list[Happening]]]:
    grouped: dict[int, list[Happening]] = defaultdict(list)
    for happening in happenings:
        grouped[happening.mentor_id].append(happening)
    return ((mentors[mentor_id], own) for mentor_id, own in grouped.items())


class _Desk:
    """Collects the rows of one call and writes them in one statement."""

    def __init__(self, *, organisation: Organisation, now: datetime, run_id: UUID | None) -> None:
        self.organisation = organisation
        self.now = now
        self.run_id = run_id
        self.leaves_at = organisation.next_sending_time(now)
        self.rows: list[dict[str, Any]] = []

    def tell_coordinator(self, user_id: int, happening: Happening) -> None:
        channels = [Notification.Channel.INBOX]
        if self.organisation.coordinator_mail == Organisation.CoordinatorMail.EACH:
            channels.append(Notification.Channel.EMAIL)
        for channel in channels:
            self.add(
                happening.kind,
                channel,
                happening.key,
                {"happenings": [_as_json(happening)]},
                recipient_user_id=user_id,
                about_id=happening.mentor_id,
            )

    def tell_mentor(self, mentor: Mentor, happenings: Sequence[Happening]) -> None:
        """One message for all that is due; a paused mentor's reminders go to coordinators only (rule 12)."""
        if mentor.status == Mentor.Status.PAUSED:
            happenings = [happening for happening in happenings if happening.kind != Notification.Kind.REMIND]
        if not happenings or not mentor.email:
            return
        self.add(
            Notification.Kind.NIGHT,
            Notification.Channel.EMAIL,
            happenings[0].key,
            {"happenings": [_as_json(happening) for happening in happenings]},
            language=mentor.language,
            recipient_mentor_id=mentor.pk,
            about_id=mentor.pk,
        )

    def tell_operations(self, kind: Notification.Kind, key: str, facts: dict[str, Any]) -> None:
        log.warning("operations warned", event_name=kind, organisation=self.organisation.slug, run_id=str(self.run_id))
        self.add(kind, Notification.Channel.OPERATIONS, key, facts)

    def add(
        self,
        kind: Notification.Kind,
        channel: Notification.Channel,
        key: str,
        facts: dict[str, Any],
        *,
        language: str = "",
        recipient_user_id: int | None = None,
        recipient_mentor_id: int | None = None,
        about_id: int | None = None,
    ) -> None:
        in_the_inbox = channel == Notification.Channel.INBOX
        # Operations are called at any hour; people are written to within the sending hours.
        leaves_at = self.now if channel == Notification.Channel.OPERATIONS else self.leaves_at
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
                "status": Notification.Status.SENT if in_the_inbox else Notification.Status.QUEUED,
                "next_attempt_at": None if in_the_inbox else leaves_at,
                "sent_at": self.now if in_the_inbox else None,
            }
        )

    def write(self) -> None:
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
            queue.deliver_after_commit()


def _as_json(happening: Happening) -> dict[str, Any]:
    return {"kind": happening.kind, "key": happening.key, **happening.facts}
