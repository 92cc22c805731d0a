"""Gathering, for a whole batch at once, what the words of its messages need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from mentors.models import Mentor
from notifications.channel import Recipient
from notifications.channels import INBOX
from notifications.links import Links, links_of
from notifications.models import Notification, NotificationQuerySet, Preference, Webhook
from notifications.signing import webhook_secrets

SUMMARIES = (Notification.Kind.DIGEST, Notification.Kind.WEEKLY)


@dataclass(frozen=True, kw_only=True)
class NotificationEvent:
    """One thing that a message tells of a mentor."""

    kind: Notification.Kind
    mentor: Mentor
    facts: dict[str, Any]
    row: Notification | None = None  # that told it: the message itself, or what a summary sums up; of a sample none


@dataclass(kw_only=True)
class Message:
    """A notification, and all that its words need.

    `certifications.recheck` takes out of `events` what is no longer true when it leaves, and names in `stand_ins`
    who may take over for the paused mentors of a chapter (by the chapter's id).
    """

    notification: Notification
    today: date  # in the organisation
    recipient: Recipient
    recipient_name: str
    events: list[NotificationEvent]
    stand_ins: dict[int, list[str]] = field(default_factory=dict)
    not_for_reader: list[NotificationEvent] = field(default_factory=list)  # true, but no role of hers reaches it now
    links: Links

    @property
    def is_summary(self) -> bool:
        return self.notification.kind in SUMMARIES

    @property
    def left_out(self) -> list[int]:
        """The run's items, by id, of which it was to tell and tells no more."""
        written = self.notification.context.get("events", ())
        told = {event.facts.get("item") for event in self.events}
        return [facts["item"] for facts in written if "item" in facts and facts["item"] not in told]

    @property
    def tells_of_mentors(self) -> bool:
        """Whether it has nothing to say when none of its happenings is true any more."""
        row = self.notification
        return row.about is not None or self.is_summary or row.kind == Notification.Kind.HANDOVER


def read_notifications() -> NotificationQuerySet:
    """Return notifications with what `gather` reads of each, in one query."""
    return Notification.objects.select_related(
        "organisation", "organisation__webhook", "about__chapter",
        "recipient_user__preference", "recipient_mentor__preference",
    )  # fmt: skip


def gather(notifications: Iterable[Notification], *, now: datetime) -> list[Message]:
    """Return what the messages tell, in at most two more queries; the notifications are from `read_notifications`."""
    notifications = list(notifications)
    told = _told_in([row.pk for row in notifications if row.kind in SUMMARIES])
    paused_ids = {pk for row in notifications for pk in row.context.get("paused", ())}
    paused = Mentor.objects.select_related("chapter").in_bulk(paused_ids)
    return [
        Message(
            notification=row,
            today=(row.organisation.local_time(now) if row.organisation_id else now).date(),
            recipient=_recipient(row),
            recipient_name=_name(row),
            events=told[row.pk] if row.kind in SUMMARIES else _events(row, paused),
            links=links_of(row),
        )
        for row in notifications
    ]


def _told_in(summaries: list[int]) -> dict[int, list[NotificationEvent]]:
    told: dict[int, list[NotificationEvent]] = defaultdict(list)
    if not summaries:
        return told
    rows = Notification.objects.filter(digest__in=summaries, about__isnull=False, channel=INBOX)
    for row in rows.select_related("about__chapter").order_by("about__name", "pk"):
        told[row.digest_id or 0] += _events(row, {})
    return told


def _events(row: Notification, paused: dict[int, Mentor]) -> list[NotificationEvent]:
    if row.about is None:
        ids = row.context.get("paused", ())
        changes = row.context.get("changes") or [None] * len(ids)
        return [
            NotificationEvent(kind=Notification.Kind.PAUSE, mentor=paused[pk], facts={"change": change}, row=row)
            for pk, change in zip(ids, changes, strict=True)
            if pk in paused
        ]
    if "events" not in row.context or row.kind == Notification.Kind.ANSWER:
        return [NotificationEvent(kind=Notification.Kind(row.kind), mentor=row.about, facts=row.context, row=row)]
    return [
        NotificationEvent(kind=Notification.Kind(facts["kind"]), mentor=row.about, facts=facts, row=row)
        for facts in row.context["events"]
    ]


def _name(row: Notification) -> str:
    if row.recipient_mentor:
        return row.recipient_mentor.name
    return row.recipient_user.get_full_name() if row.recipient_user else ""


def _recipient(row: Notification) -> Recipient:
    person = row.recipient_mentor or row.recipient_user
    chosen: Preference | None = getattr(person, "preference", None)
    app = Webhook.of(row.organisation) if row.organisation_id else None
    return Recipient(
        # Who has a new address is told of it by the old one, too.
        email=row.context.get("to") or (person.email if person else ""),
        phone=row.recipient_mentor.phone if row.recipient_mentor else "",
        chosen=chosen.address if chosen and chosen.channel == row.channel else "",
        app_url=app.url if app else "",
        app_secrets=tuple(webhook_secrets(app)) if app else (),
    )
