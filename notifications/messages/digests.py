"""What coordinators are told in one message for much: sections, one line a mentor, the most urgent first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.messages.context import Message, NotificationEvent
from notifications.messages.fragments import (
    Draft,
    clean,
    expires_on,
    expires_with_date,
    listed,
    nothing_left,
    paragraphs,
    to_the_desk,
    types_of,
    who,
)
from notifications.messages.to_coordinators import label_of, reminders_of
from notifications.models import Notification
from notifications.rendered_message import Block, BulletList

Kind = Notification.Kind
# In the order in which a coordinator has to act on them.
SECTIONS = (Kind.PAUSE, Kind.ANSWER, Kind.REMIND, Kind.BOUNCED, Kind.RESUME)


@dataclass(frozen=True, kw_only=True)
class Section:
    tally: str  # for the subject
    heading: str
    lines: tuple[str, ...]


def digest(message: Message) -> Draft:
    return _summary(message, _("The night: %(tallies)s"), _("This has happened with the mentors you look after."))


def weekly(message: Message) -> Draft:
    lead = _("This has happened with the mentors you look after since the last summary.")
    return _summary(message, _("The week: %(tallies)s"), lead)


def _summary(message: Message, subject: str, lead: str) -> Draft:
    sections = _sections(message)
    if not sections:
        return nothing_left()
    subject %= {"tallies": ", ".join(section.tally for section in sections)}
    return Draft(
        subject=subject,
        gist=f"{subject}.",
        blocks=(
            *paragraphs(lead),
            *(BulletList(heading=section.heading, items=section.lines) for section in sections),
            *_who_may_take_over(message),
            *to_the_desk(message),
        ),
    )


def _sections(message: Message) -> list[Section]:
    """Return what there is to say; of a week's reminders of the same expiry one is left, for it says the same."""
    sections = []
    for kind in SECTIONS:
        told = [event for event in message.events if event.kind == kind]
        if kind == Kind.REMIND:
            told.sort(key=lambda event: expires_on(event.facts))
        lines = tuple(dict.fromkeys(_say(event, today=message.today) for event in told))
        if lines:
            tally, heading = _count(kind, len(lines))
            sections.append(Section(tally=tally, heading=heading, lines=lines))
    return sections


def _say(event: NotificationEvent, *, today: date) -> str:
    facts, what = event.facts, ""
    match event.kind:
        case Kind.PAUSE:
            what = types_of(facts) or _("by a coordinator")
        case Kind.REMIND:
            what = expires_with_date(facts, today=today)
        case Kind.ANSWER:
            types = listed([types_of(reminder) for reminder in reminders_of(facts)])
            said = {"answer": label_of(facts.get("answer")), "types": types}
            what = _("“%(answer)s” (%(types)s)") % said if types else said["answer"]
        case Kind.BOUNCED:
            what = clean(facts.get("reason") or "")
    text = _("%(mentor)s (%(chapter)s): %(what)s") if what else _("%(mentor)s (%(chapter)s)")
    return text % {**who(event), "what": what}


def _count(kind: Kind, count: int) -> tuple[str, str]:
    """Return how many there are, for the subject and for the section's heading."""
    match kind:
        case Kind.PAUSE:
            tally = ngettext("%(count)d paused", "%(count)d paused", count)
            heading = ngettext("%(count)d mentor is paused", "%(count)d mentors are paused", count)
        case Kind.ANSWER:
            tally = ngettext("%(count)d answer", "%(count)d answers", count)
            heading = ngettext("%(count)d answer to a reminder", "%(count)d answers to reminders", count)
        case Kind.BOUNCED:
            tally = ngettext("%(count)d cannot be reached", "%(count)d cannot be reached", count)
            heading = ngettext(
                "Messages to %(count)d mentor come back", "Messages to %(count)d mentors come back", count
            )
        case Kind.RESUME:
            tally = ngettext("%(count)d active again", "%(count)d active again", count)
            heading = ngettext("%(count)d mentor is active again", "%(count)d mentors are active again", count)
        case _:
            tally = ngettext("%(count)d certification expires soon", "%(count)d certifications expire soon", count)
            heading = tally
    return tally % {"count": count}, heading % {"count": count}


def _who_may_take_over(message: Message) -> tuple[Block, ...]:
    """Name by chapter who may take over for those who are paused."""
    chapters = {event.mentor.chapter_id: who(event)["chapter"] for event in message.events if event.kind == Kind.PAUSE}
    if not chapters:
        return ()
    lines = []
    for pk, chapter in sorted(chapters.items(), key=lambda found: found[1]):
        names = listed([clean(name) for name in message.stand_ins.get(pk, [])])
        text = _("%(chapter)s: %(names)s") if names else _("%(chapter)s: nobody else has everything in order now")
        lines.append(text % {"chapter": chapter, "names": names})
    return (BulletList(heading=_("Who may take over"), items=tuple(lines)),)
