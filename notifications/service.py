"""What the rest of the service says when somebody should be told, and the implementation that writes it down.

`settings.NOTIFICATION_SERVICE` names the class; another one may be put in its place. It is called inside the
transaction that changes a mentor, so it only writes rows; delivery starts after the commit and can undo nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from mentors.models import Mentor, Organisation, User
from mentors.status import latest_changes
from notifications import dispatch
from notifications.channels import EMAIL, INBOX
from notifications.models import Notification
from notifications.outbox import Event, Outbox, as_facts
from notifications.recipients import Coordinator, coordinators, coordinators_by_chapter, organisation_wide
from notifications.summaries import paused_by_run, write_summaries

TELLS_OF_STATUS = (Notification.Kind.PAUSE, Notification.Kind.RESUME)


class NotificationService(Protocol):
    def announce(
        self, events: Sequence[Event], *, organisation: Organisation, now: datetime, run_id: UUID | None = None
    ) -> set[str]:
        """Tell the mentors and their coordinators (rule 12); return the keys of which nobody could be told."""

    def tell_coordinators(
        self,
        kind: Notification.Kind,
        *,
        mentor_id: int,
        organisation: Organisation,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        at_once: bool = False,
    ) -> None:
        """Tell a mentor's coordinators something of her that she need not be told; at once, or as each wants it."""

    def tell_instead(self, rows: Iterable[Notification], *, now: datetime) -> None:
        """Tell the coordinators of today what these rows told somebody who may not know it any more; nobody twice."""

    def summarise(self, *, organisation: Organisation, run_id: UUID, now: datetime) -> None:
        """Say after a run who needs somebody to take over, and write the coordinators' summaries."""

    def warn(
        self,
        *,
        organisation: Organisation,
        kind: Notification.Kind,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        run_id: UUID | None = None,
        leave_out: User | None = None,
        operations: bool = True,
    ) -> None:
        """Tell operations, unless they know, and the organisation-wide coordinators, except one."""

    def invite(self, *, user: User, organisation: Organisation, key: str, facts: dict[str, Any], now: datetime) -> None:
        """Tell somebody, by e-mail and at any hour, that they have a role in the organisation."""

    def tell_owner(self, *, user: User, language: str, key: str, facts: dict[str, Any], now: datetime) -> None:
        """Tell somebody, by e-mail and at any hour, what has happened to their account; `to` is another address."""


def get_notification_service() -> NotificationService:
    """Return the service that the settings name."""
    service: NotificationService = import_string(settings.NOTIFICATION_SERVICE)()
    return service


class DatabaseNotificationService:
    """Writes `Notification` rows and hands those that may leave now to the delivery task."""

    def announce(
        self, events: Sequence[Event], *, organisation: Organisation, now: datetime, run_id: UUID | None = None
    ) -> set[str]:
        if not events:
            return set()
        events = _stamp(events)
        needed = Mentor.objects.select_related("preference").only(
            "chapter_id", "status", "email", "phone", "language", "preference__channel", "preference__address"
        )
        told_of = needed.filter(pk__any_of={event.mentor_id for event in events})
        mentors = {mentor.pk: mentor for mentor in told_of}
        by_chapter = coordinators_by_chapter(organisation, {mentor.chapter_id for mentor in mentors.values()})
        outbox = Outbox(organisation=organisation, now=now, run_id=run_id)
        by_mentor: dict[int, list[Event]] = defaultdict(list)
        told: set[str] = set()
        for event in events:
            by_mentor[event.mentor_id].append(event)
            for coordinator in by_chapter[mentors[event.mentor_id].chapter_id]:
                facts = {"events": [as_facts(event)]}
                outbox.tell_coordinator(coordinator, event.kind, event.key, facts, about_id=event.mentor_id)
                told.add(event.key)
        for mentor_id, own in by_mentor.items():
            told |= {event.key for event in outbox.tell_mentor(mentors[mentor_id], own)}
        if run_id is None:
            _hand_over(outbox, _paused_by_coordinator(events, mentors, by_chapter), key=events[0].key)
        if not all(by_chapter[mentor.chapter_id] for mentor in mentors.values()):
            outbox.tell_operations(
                Notification.Kind.NO_COORDINATOR, f"no_coordinator:{run_id or events[0].key}:{organisation.pk}", {}
            )
        outbox.write()
        return {event.key for event in events} - told

    def tell_coordinators(
        self,
        kind: Notification.Kind,
        *,
        mentor_id: int,
        organisation: Organisation,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        at_once: bool = False,
    ) -> None:
        chapter_id = Mentor.objects.values_list("chapter_id", flat=True).get(pk=mentor_id)
        outbox = Outbox(organisation=organisation, now=now, run_id=None)
        told = coordinators_by_chapter(organisation, {chapter_id})[chapter_id]
        for coordinator in told:
            outbox.tell_coordinator(coordinator, kind, key, facts, about_id=mentor_id, at_once=at_once)
        if not told:
            outbox.tell_operations(Notification.Kind.NO_COORDINATOR, f"no_coordinator:{key}:{organisation.pk}", {})
        outbox.write()

    def tell_instead(self, rows: Iterable[Notification], *, now: datetime) -> None:
        for row in {row.pk: row for row in rows}.values():
            if row.about_id is not None:
                self.tell_coordinators(
                    Notification.Kind(row.kind),
                    mentor_id=row.about_id,
                    organisation=row.organisation,
                    key=row.happening,
                    facts=row.context,
                    now=now,
                    at_once=row.kind == Notification.Kind.ANSWER and row.channel != INBOX,
                )

    def summarise(self, *, organisation: Organisation, run_id: UUID, now: datetime) -> None:
        paused = {(user_id, chapter_id): ids for user_id, chapter_id, ids in paused_by_run(run_id)}
        found = coordinators(organisation, {user_id for user_id, _chapter_id in paused})
        by_id = {coordinator.user_id: coordinator for coordinator in found}
        outbox = Outbox(organisation=organisation, now=now, run_id=run_id)
        by_coordinator = {
            (by_id[user_id], chapter_id): ids for (user_id, chapter_id), ids in paused.items() if user_id in by_id
        }
        _hand_over(outbox, by_coordinator, key=str(run_id))
        outbox.write()
        write_summaries(organisation=organisation, run_id=run_id, now=now)

    def warn(
        self,
        *,
        organisation: Organisation,
        kind: Notification.Kind,
        key: str,
        facts: dict[str, Any],
        now: datetime,
        run_id: UUID | None = None,
        leave_out: User | None = None,
        operations: bool = True,
    ) -> None:
        outbox = Outbox(organisation=organisation, now=now, run_id=run_id)
        if operations:
            outbox.tell_operations(kind, key, facts)
        for coordinator in organisation_wide(organisation):
            if leave_out is None or coordinator.user_id != leave_out.pk:
                outbox.tell_coordinator(coordinator, kind, key, facts, at_once=True)
        outbox.write()

    def invite(self, *, user: User, organisation: Organisation, key: str, facts: dict[str, Any], now: datetime) -> None:
        outbox = Outbox(organisation=organisation, now=now, run_id=None)
        outbox.add(Notification.Kind.INVITED, EMAIL, key, facts, recipient_user_id=user.pk, at_any_hour=True)
        outbox.write()

    def tell_owner(self, *, user: User, language: str, key: str, facts: dict[str, Any], now: datetime) -> None:
        row = Notification(
            dedupe_key=f"{key}:{EMAIL}:{user.pk}",
            kind=Notification.Kind.ACCOUNT,
            channel=EMAIL,
            recipient_user=user,
            language=language,
            context=facts,
            next_attempt_at=now,
            created_at=now,
        )
        Notification.objects.bulk_create([row], ignore_conflicts=True)
        dispatch.deliver_after_commit()


def _paused_by_coordinator(
    events: Iterable[Event], mentors: dict[int, Mentor], by_chapter: dict[int, list[Coordinator]]
) -> dict[tuple[Coordinator, int], list[int]]:
    paused: dict[tuple[Coordinator, int], list[int]] = defaultdict(list)
    for event in events:
        if event.kind == Notification.Kind.PAUSE:
            chapter_id = mentors[event.mentor_id].chapter_id
            for coordinator in by_chapter[chapter_id]:
                paused[coordinator, chapter_id].append(event.mentor_id)
    return paused


def _stamp(events: Sequence[Event]) -> list[Event]:
    """Keep with each event which change of the mentor's status it tells of: it is not true of the next one."""
    changes = latest_changes({event.mentor_id for event in events if event.kind in TELLS_OF_STATUS})
    return [
        replace(event, facts={**event.facts, "change": changes.get(event.mentor_id)})
        if event.kind in TELLS_OF_STATUS
        else event
        for event in events
    ]


def _hand_over(outbox: Outbox, paused: dict[tuple[Coordinator, int], list[int]], *, key: str) -> None:
    """Hint to coordinators that somebody else must take over from the paused mentors of a chapter."""
    changes = latest_changes({mentor_id for mentor_ids in paused.values() for mentor_id in mentor_ids})
    for (coordinator, chapter_id), mentor_ids in paused.items():
        outbox.tell_coordinator(
            coordinator,
            Notification.Kind.HANDOVER,
            # A run that is retried hands over once more, and nobody twice.
            f"handover:{key}:{chapter_id}:{min(mentor_ids)}",
            {"paused": mentor_ids, "changes": [changes.get(pk) for pk in mentor_ids], "chapter_id": chapter_id},
        )
