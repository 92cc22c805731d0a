"""What coordinators are told of one thing: about a mentor, or about the paused mentors of a chapter."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mentors.models import Mentor
from notifications.messages.context import Message
from notifications.messages.fragments import (
    Draft,
    clean,
    expires,
    expires_with_date,
    organisation_of,
    paragraphs,
    to_the_desk,
    types_of,
    who,
)
from notifications.models import Answer
from notifications.rendered_message import Block, BulletList


def remind(message: Message) -> Draft:
    event = message.events[0]
    names = who(event)
    subject = _("%(mentor)s: %(what)s") % {**names, "what": expires(event.facts, today=message.today)}
    with_date = expires_with_date(event.facts, today=message.today)
    is_paused = event.mentor.status == Mentor.Status.PAUSED
    return Draft(
        subject=subject,
        gist=f"{subject}.",
        blocks=(
            *paragraphs(
                _("%(mentor)s in %(chapter)s: %(what)s.") % {**names, "what": with_date},
                _("%(mentor)s is paused, so this message comes to coordinators only.") % names if is_paused else "",
                _("Record the renewal as soon as you have it. Ask %(mentor)s if you hear nothing.") % names,
            ),
            *to_the_desk(message),
        ),
    )


def pause(message: Message) -> Draft:
    event = message.events[0]
    names = {**who(event), "types": types_of(event.facts)}
    if names["types"]:
        why = _("%(mentor)s in %(chapter)s is paused, because this is not valid any more: %(types)s.") % names
    else:
        why = _("A coordinator has paused %(mentor)s in %(chapter)s.") % names
    return Draft(
        subject=_("%(mentor)s is paused") % names,
        gist=why,
        blocks=(
            *paragraphs(
                why,
                _(
                    "While paused, %(mentor)s is not shown on the chapter's public page "
                    "and does not begin new conversations."
                )
                % names,
                _("Has %(mentor)s agreed to meet somebody? Then somebody else must take over.") % names,
            ),
            *to_the_desk(message),
        ),
    )


def resume(message: Message) -> Draft:
    names = who(message.events[0])
    text = _("%(mentor)s in %(chapter)s is active again, and can begin new conversations.") % names
    return Draft(
        subject=_("%(mentor)s is active again") % names,
        gist=text,
        blocks=(
            *paragraphs(text, _("Has somebody taken over in the meantime? Agree on who carries on.")),
            *to_the_desk(message),
        ),
    )


def handover(message: Message) -> Draft:
    """Say who is paused in a chapter, and who of it may take over."""
    chapter = {"chapter": who(message.events[0])["chapter"]}
    count = {"count": len(message.events)}
    subject = ngettext(
        "%(chapter)s: %(count)d mentor is paused, somebody must take over",
        "%(chapter)s: %(count)d mentors are paused, somebody must take over",
        count["count"],
    ) % {**chapter, **count}
    stand_ins = message.stand_ins.get(message.events[0].mentor.chapter_id, [])
    return Draft(
        subject=subject,
        gist=f"{subject}.",
        blocks=(
            *paragraphs(
                _("What a paused mentor in %(chapter)s has agreed to, somebody else must take over.") % chapter
            ),
            BulletList(
                heading=ngettext("%(count)d mentor is paused", "%(count)d mentors are paused", count["count"]) % count,
                items=tuple(who(event)["mentor"] for event in message.events),
            ),
            *_who_may_take_over(stand_ins, chapter),
            *to_the_desk(message),
        ),
    )


def _who_may_take_over(stand_ins: list[str], chapter: dict[str, str]) -> tuple[Block, ...]:
    if not stand_ins:
        return paragraphs(
            _("Nobody else in %(chapter)s has everything in order now. Ask another chapter for help.") % chapter
        )
    heading = _("These have everything in order, and may take over")
    return (BulletList(heading=heading, items=tuple(clean(name) for name in stand_ins)),)


def answer(message: Message) -> Draft:
    """Say what a mentor answered, and what is now up to the coordinator."""
    event = message.events[0]
    names = who(event)
    subject, what_now = _answered(event.facts.get("answer"))
    subject %= names
    reminders = [expires_with_date(facts, today=message.today) for facts in reminders_of(event.facts)]
    return Draft(
        subject=subject,
        gist=f"{subject}. {what_now % names}",
        blocks=(
            *paragraphs(_said(event.facts.get("answer"), names)),
            *([BulletList(heading=_("What it was about"), items=tuple(reminders))] if reminders else []),
            BulletList(heading=_("What is up to you"), items=(what_now % names,)),
            *to_the_desk(message),
        ),
    )


def reminders_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reminders that an answer was given to."""
    return [reminder for reminder in facts.get("events") or () if reminder.get("expires_on")]


def label_of(choice: object) -> str:
    """Return what stood on the link that the mentor tapped."""
    return str(Answer.Choice(choice).label) if choice in Answer.Choice.values else clean(choice or "")


def _said(choice: object, names: dict[str, str]) -> str:
    if not choice:
        return _("%(mentor)s in %(chapter)s has answered a reminder.") % names
    said = {**names, "answer": label_of(choice)}
    return _("%(mentor)s in %(chapter)s has answered a reminder: “%(answer)s”.") % said


def _answered(choice: object) -> tuple[str, str]:
    match choice:
        case Answer.Choice.RENEWING:
            return _("%(mentor)s is renewing"), _(
                "Record the renewal as soon as you have it. No more reminders of this are sent to %(mentor)s."
            )
        case Answer.Choice.STOPPING:
            return _("%(mentor)s is stopping"), _(
                "Agree with %(mentor)s on when to stop and on who takes over, and record the end. "
                "No more reminders of this are sent to %(mentor)s."
            )
        case Answer.Choice.HELP:
            return _("%(mentor)s needs help"), _("Write to %(mentor)s, and agree on what it takes to renew.")
        case _:
            return _("%(mentor)s has answered"), _("Write to %(mentor)s, and agree on what happens now.")


def bounced(message: Message) -> Draft:
    """Say that messages to a mentor, or to a coordinator, come back."""
    row = message.notification
    name = clean(row.about.name if row.about else row.context.get("name") or "")
    reason = clean(row.context.get("reason") or "")
    subject = _("Messages to %(name)s come back") % {"name": name} if name else _("Messages come back")
    return Draft(
        subject=subject,
        gist=" ".join([f"{subject}.", _("Please ask for a new address.")]),
        blocks=(
            *paragraphs(
                _("Messages to %(name)s in %(organisation)s come back, so no more are sent to that address.")
                % {"name": name, "organisation": organisation_of(message)}
                if name
                else _("Messages to an address come back, so no more are sent to it."),
                _("The server says: “%(reason)s”") % {"reason": reason} if reason else "",
                _("Please ask for a new address, and correct it in Nattevakt."),
            ),
            *to_the_desk(message),
        ),
    )
