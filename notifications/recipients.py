"""Who is told, and how: the coordinators of a chapter, and everybody's choice of channel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F, Q, QuerySet

from mentors.models import CoordinatorRole, Mentor, Organisation
from notifications.channel import Recipient
from notifications.channels import CHANNELS, EMAIL
from notifications.models import Preference, Webhook


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    user_id: int
    channel: str
    mail: Preference.Mail
    language: str


def coordinators_by_chapter(organisation: Organisation, chapter_ids: set[int]) -> dict[int, list[Coordinator]]:
    """Return whom to tell for each chapter: its own coordinators, else the organisation-wide ones (rule 12)."""
    by_chapter: dict[int | None, list[Coordinator]] = defaultdict(list)
    roles = _active_roles(organisation).filter(Q(chapter__in=chapter_ids) | Q(chapter=None))
    for row in _with_preference(roles).order_by("user_id"):
        by_chapter[row["chapter_id"]].append(_coordinator(row, organisation))
    return {chapter_id: by_chapter[chapter_id] or by_chapter[None] for chapter_id in chapter_ids}


def organisation_wide(organisation: Organisation) -> list[Coordinator]:
    roles = _with_preference(_active_roles(organisation).filter(chapter=None)).order_by("user_id")
    return [_coordinator(row, organisation) for row in roles]


def coordinators(organisation: Organisation, user_ids: Iterable[int]) -> list[Coordinator]:
    """Return those of the users who still are active coordinators of the organisation, each once."""
    roles = _with_preference(_active_roles(organisation).filter(user__in=user_ids))
    found = {row["user_id"]: _coordinator(row, organisation) for row in roles.order_by("user_id")}
    return list(found.values())


def channel_for_mentor(mentor: Mentor, organisation: Organisation) -> str | None:
    """Return by which channel to write to a mentor, read with its `preference`; None: by none."""
    chosen: Preference | None = getattr(mentor, "preference", None)
    code, address = (chosen.channel, chosen.address) if chosen else (EMAIL, "")
    return _reaching(code, Recipient(email=mentor.email, phone=mentor.phone, chosen=address), organisation)


def next_channel(recipient: Recipient, *, tried: Sequence[str]) -> str | None:
    """Return the next channel that reaches the recipient, e-mail first, after those that were tried; None: none."""
    if any(code in CHANNELS and not CHANNELS[code].is_personal for code in tried):
        return None  # operations have another way, and an inbox needs none
    recipient = replace(recipient, chosen="")  # for the channel that was tried
    for code in sorted(CHANNELS, key=lambda code: code != EMAIL):
        channel = CHANNELS[code]
        if code not in tried and channel.is_personal and channel.is_set_up() and channel.address_of(recipient):
            return code
    return None


def _reaching(code: str, recipient: Recipient, organisation: Organisation) -> str | None:
    """Return the channel if it reaches the recipient, else e-mail if that does."""
    if code != EMAIL and code in CHANNELS and CHANNELS[code].is_set_up():  # its file may have been taken away
        app = Webhook.of(organisation)
        if CHANNELS[code].address_of(replace(recipient, app_url=app.url if app else "")):
            return code
    return EMAIL if CHANNELS[EMAIL].address_of(recipient) else None


def _active_roles(organisation: Organisation) -> QuerySet[CoordinatorRole]:
    looks_after = CoordinatorRole.objects.filter(duty=CoordinatorRole.Duty.COORDINATOR, user__is_active=True)
    return looks_after.filter(organisation=organisation)


def _with_preference(roles: QuerySet[CoordinatorRole]) -> Any:  # rows of TypedDicts, which mypy knows only inside
    chosen = {name: F(f"user__preference__{name}") for name in ("channel", "address", "mail", "language")}
    return roles.values("chapter_id", "user_id", email=F("user__email"), **chosen)


def _coordinator(row: dict[str, Any], organisation: Organisation) -> Coordinator:
    recipient = Recipient(email=row["email"], chosen=row["address"] or "")
    return Coordinator(
        user_id=row["user_id"],
        channel=_reaching(row["channel"] or EMAIL, recipient, organisation) or EMAIL,
        mail=Preference.Mail(row["mail"] or organisation.coordinator_mail),
        language=row["language"] or organisation.language,
    )
