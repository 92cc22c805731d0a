"""Rule 8, just before a message leaves: what it says must still be true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from certifications.reminders import find_due_reminders
from mentors.models import Mentor, Organisation
from notifications.models import Notification

STATUS_SAID = {Notification.Kind.PAUSE: Mentor.Status.PAUSED, Notification.Kind.RESUME: Mentor.Status.ACTIVE}

# What a reminder is about: the certification's id and its expiry, as a message keeps them.
Due = set[tuple[int, str]]


def find_outdated(notifications: Sequence[Notification], now: datetime) -> dict[int, str]:
    """Return why a notification is no longer true, by id, for those that are not.

    Of a message that speaks of several things, what is no longer true is taken out of the notification in memory, so
    that it is not said; when nothing is left, the message is outdated.
    """
    due = _find_what_is_still_due(notifications, now)
    outdated = {}
    for notification in notifications:
        if notification.about is None or "happenings" not in notification.context:
            continue
        true = [facts for facts in notification.context["happenings"] if _is_true(facts, notification.about, due)]
        notification.context["happenings"] = true
        if not true:
            outdated[notification.pk] = "No longer true when it was about to leave."
    return outdated


def _is_true(facts: dict[str, Any], mentor: Mentor, due: Due) -> bool:
    if facts["kind"] == Notification.Kind.REMIND:
        return (facts["certification_id"], facts["expires_on"]) in due
    return mentor.status == STATUS_SAID[facts["kind"]]


def _find_what_is_still_due(notifications: Sequence[Notification], now: datetime) -> Due:
    reminded: dict[Organisation, set[int]] = defaultdict(set)
    for notification in notifications:
        for facts in notification.context.get("happenings", ()):
            if facts["kind"] == Notification.Kind.REMIND:
                reminded[notification.organisation].add(facts["certification_id"])
    return {
        (certification.pk, str(certification.expires_on))
        for organisation, ids in reminded.items()
        for certification in find_due_reminders(organisation=organisation, on=organisation.local_date(now)).filter(
            pk__in=ids
        )
    }
