"""What mentors answer to a reminder by its links, and what follows: no further reminders, or a coordinator is told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from mentors.models import Mentor
from notifications.models import Answer, Notification
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

# Who says so need not be asked again; who needs help must.
ENDS_REMINDERS = (Answer.Choice.RENEWING, Answer.Choice.STOPPING)
# What a coordinator has to act on, and is told by more than the inbox.
NEEDS_SOMEBODY = (Answer.Choice.STOPPING, Answer.Choice.HELP)

# A certification's id and its expiry, as a message keeps them: a new expiry may be reminded of again.
Reminded = tuple[int, str]


@transaction.atomic
def record_answer(reminder: Notification, choice: Answer.Choice, *, now: datetime) -> bool:
    """Keep the mentor's answer and tell the coordinators; return False if it was given before."""
    mentor_id = reminder.recipient_mentor_id
    if mentor_id is None:
        raise ValueError("Only a mentor answers.")
    _answer, is_new = Answer.objects.get_or_create(
        notification=reminder, choice=choice, defaults={"mentor_id": mentor_id, "at": now}
    )
    if not is_new:
        return False
    log.info("answer recorded", event_name="answer_recorded", notification_id=reminder.pk, choice=choice)
    get_notification_service().tell_coordinators(
        Notification.Kind.ANSWER,
        mentor_id=mentor_id,
        organisation=reminder.organisation,
        key=f"answer:{reminder.pk}:{choice}",
        facts={"answer": choice, "events": find_reminders(reminder)},
        at_once=choice in NEEDS_SOMEBODY,
        now=now,
    )
    return True


def find_answered(mentor_ids: Iterable[int]) -> set[Reminded]:
    """Return of which certifications these mentors need not be reminded again, because of what they answered."""
    answers = Answer.objects.filter(mentor__any_of=mentor_ids, choice__in=ENDS_REMINDERS).select_related("notification")
    return {
        (facts["certification_id"], facts["expires_on"])
        for answer in answers
        for facts in find_reminders(answer.notification)
    }


def may_answer(reminder: Notification) -> bool:
    """Whether there still is somebody to answer for: an ended mentor's link does nothing."""
    mentor = reminder.recipient_mentor
    return mentor is not None and mentor.status != Mentor.Status.ENDED


def find_reminders(notification: Notification) -> list[dict[str, Any]]:
    """Return the facts of each certification of which the message reminds; it may tell of other things too."""
    events = notification.context["events"]
    return [facts for facts in events if facts["kind"] == Notification.Kind.REMIND]
