"""Phrases that several messages use. Each is a whole clause, so that a translation may put its words in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from notifications.messages.context import Message, NotificationEvent
from notifications.rendered_message import Block, Link, LinkList, Paragraph

# A text message costs by the part, and 300 characters are two parts.
SHORT = 300
SERVICE = "Nattevakt"
SHORTEST = 60  # with less room than this beside a link, the words go first


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is particular to a message; `render.py` makes the whole message of it."""

    subject: str
    gist: str  # the message in a sentence or two, for a text message
    blocks: tuple[Block, ...]


def clean(value: object) -> str:
    """Return what somebody typed as one line without control characters: a header may have nothing else."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())


def listed(words: Sequence[str]) -> str:
    """Return “A”, “A and B” or “A, B and C”."""
    if len(words) < 2:
        return "".join(words)
    return _("%(first)s and %(last)s") % {"first": ", ".join(words[:-1]), "last": words[-1]}


def types_of(facts: dict[str, Any]) -> str:
    """Return the types by their names; an old row has only their codes."""
    return listed([clean(name) for name in facts.get("names") or (facts.get("types") or "").split(",") if name])


def expires_on(facts: dict[str, Any]) -> date:
    return date.fromisoformat(facts["expires_on"])


def expires(facts: dict[str, Any], *, today: date) -> str:
    """Say in how many days something expires, counted from the day on which the message is read."""
    left = (expires_on(facts) - today).days
    match left:
        case -1:
            text = _("%(what)s expired yesterday")
        case 0:
            text = _("%(what)s expires today")
        case 1:
            text = _("%(what)s expires tomorrow")
        case _ if left < 0:
            text = ngettext("%(what)s expired %(days)d day ago", "%(what)s expired %(days)d days ago", -left)
        case _:
            text = ngettext("%(what)s expires in %(days)d day", "%(what)s expires in %(days)d days", left)
    return text % {"what": types_of(facts), "days": abs(left)}


def expires_with_date(facts: dict[str, Any], *, today: date) -> str:
    day = date_format(expires_on(facts), "DATE_FORMAT")
    return _("%(expires)s (%(date)s)") % {"expires": expires(facts, today=today), "date": day}


def who(event: NotificationEvent) -> dict[str, str]:
    """Return what sentences about a mentor are filled with."""
    return {"mentor": clean(event.mentor.name), "chapter": clean(event.mentor.chapter.name)}


def organisation_of(message: Message) -> str:
    """Return who sends it: of what an account's owner is told, the service itself."""
    row = message.notification
    return clean(row.organisation.name) if row.organisation_id else SERVICE


def paragraphs(*texts: str) -> tuple[Paragraph, ...]:
    return tuple(Paragraph(text=text) for text in texts if text)


def to_the_desk(message: Message) -> tuple[LinkList, ...]:
    if not message.links.desk:
        return ()
    return (LinkList(heading="", links=(Link(label=_("Open Nattevakt"), url=message.links.desk),)),)


def nothing_left() -> Draft:
    """Write what is left of a message when nothing that it was about is true any more."""
    return Draft(
        subject=_("There is nothing to do any more"),
        gist=_("What you were to be told has changed: there is nothing to do."),
        blocks=paragraphs(_("What this message was about has changed in the meantime, so there is nothing to do.")),
    )


def make_short(*, organisation: str, gist: str, url: str) -> str:
    """Return the message for a phone: who writes, what it is about, where to act. It is cut without an ellipsis
    character, which would cost the whole text message its alphabet."""
    sender = _cut(organisation, SHORTEST)
    room = SHORT - len(sender) - len(": ")
    if not url or room - len(url) - 1 < SHORTEST:
        return f"{sender}: {_cut(gist, room)}"
    return f"{sender}: {_cut(gist, room - len(url) - 1)} {url}"


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    return text[: room - 3].rpartition(" ")[0].rstrip(" .,:") + "..." if " " in text[: room - 3] else text[:room]
