"""Just before a message leaves: what it says must still be true (docs/rules.md, rule 8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from certifications import record_text
from certifications.coverage import find_stand_ins
from certifications.reminders import find_due_reminders
from mentors.models import Mentor, Organisation
from mentors.record_text import RecordText
from mentors.status import latest_changes
from notifications.answers import Reminded, find_answered
from notifications.messages.context import Message, NotificationEvent
from notifications.models import Notification

STATUS_SAID = {Notification.Kind.PAUSE: Mentor.Status.PAUSED, Notification.Kind.RESUME: Mentor.Status.ACTIVE}
# Those that say to coordinators who is paused, and so who may take over.
NAMES_STAND_INS = (Notification.Kind.HANDOVER, Notification.Kind.DIGEST, Notification.Kind.WEEKLY)


def recheck_messages(messages: Sequence[Message]) -> dict[int, RecordText]:
    """Return why a message is no longer true, by the notification's id, for those that are not.

    Of a message that tells of several things, what is no longer true is taken out, so that it is not said; when
    nothing is left, the message is outdated. Those who may take over for somebody paused are named as of now.
    """
    due = _find_what_is_still_due(messages)
    recipients = {message.notification.recipient_mentor_id for message in messages}
    answered = find_answered({pk for pk in recipients if pk})
    latest = latest_changes({event.mentor.pk for message in messages for event in message.events})
    outdated = {}
    for message in messages:
        if not message.tells_of_mentors:
            continue
        reminded = due - answered if message.notification.recipient_mentor_id else due
        message.events = [event for event in message.events if _is_true(event, message, reminded, latest)]
        if not message.events:
            outdated[message.notification.pk] = record_text.OUTDATED()
    name_stand_ins(messages)
    return outdated


def name_stand_ins(messages: Sequence[Message]) -> None:
    """Name, where a message says that mentors are paused, who of their chapters may take over."""
    chapters: dict[date, set[int]] = defaultdict(set)
    naming = [message for message in messages if message.notification.kind in NAMES_STAND_INS]
    for message in naming:
        chapters[message.today] |= _chapters_of_paused(message)
    found = {on: find_stand_ins(ids, on=on) for on, ids in chapters.items()}
    for message in naming:
        by_chapter = found[message.today]
        message.stand_ins = {pk: by_chapter.get(pk, []) for pk in _chapters_of_paused(message)}


def _chapters_of_paused(message: Message) -> set[int]:
    return {event.mentor.chapter_id for event in message.events if event.kind == Notification.Kind.PAUSE}


def _is_true(event: NotificationEvent, message: Message, due: set[Reminded], latest: dict[int, int]) -> bool:
    if event.kind == Notification.Kind.REMIND:
        # A paused mentor's reminders are for her coordinators only (rule 12).
        is_for_her = event.mentor.status != Mentor.Status.PAUSED or not message.notification.recipient_mentor_id
        return is_for_her and (event.facts["certification_id"], event.facts["expires_on"]) in due
    said = STATUS_SAID.get(event.kind)
    if said is None:
        return True
    change = event.facts.get("change")  # a message of before does not have it
    return event.mentor.status == said and change in {None, latest.get(event.mentor.pk)}


def _find_what_is_still_due(messages: Sequence[Message]) -> set[Reminded]:
    reminded: dict[tuple[Organisation, date], set[int]] = defaultdict(set)
    for message in messages:
        for event in message.events:
            if event.kind == Notification.Kind.REMIND:
                key = message.notification.organisation, message.today
                reminded[key].add(event.facts["certification_id"])
    return {
        (certification.pk, str(certification.expires_on))
        for (organisation, today), ids in reminded.items()
        for certification in find_due_reminders(organisation=organisation, on=today).filter(pk__in=ids)
    }
