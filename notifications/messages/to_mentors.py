"""What a mentor is told: all that is due, in one message, to a “you”."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mentors.models import Mentor
from notifications.messages.context import Message, NotificationEvent
from notifications.messages.fragments import (
    Draft,
    expires,
    expires_on,
    expires_with_date,
    nothing_left,
    organisation_of,
    paragraphs,
    types_of,
)
from notifications.models import Notification
from notifications.rendered_message import Block, BulletList, Link, LinkList


def night(message: Message) -> Draft:
    """Write what a night, or a coordinator, has brought; what weighs most comes first, and makes the subject."""
    pauses, resumes, reminders = (
        [event for event in message.events if event.kind == kind]
        for kind in (Notification.Kind.PAUSE, Notification.Kind.RESUME, Notification.Kind.REMIND)
    )
    reminders.sort(key=lambda event: expires_on(event.facts))
    drafts = [
        *([_paused(message, pauses[-1])] if pauses else []),
        *([_resumed(message, resumes[-1])] if resumes else []),
        *([_reminded(message, reminders)] if reminders else []),
    ]
    if not drafts:
        return nothing_left()
    return Draft(
        subject=drafts[0].subject,
        gist=" ".join(draft.gist for draft in drafts),
        blocks=tuple(block for draft in drafts for block in draft.blocks),
    )


def _paused(message: Message, paused: NotificationEvent) -> Draft:
    types = types_of(paused.facts)
    if types:
        why = _("You are paused as a mentor in %(organisation)s, because this is not valid any more: %(types)s.")
    else:
        why = _("A coordinator has paused you as a mentor in %(organisation)s.")
    meaning = BulletList(
        heading=_("What this means"),
        items=(
            _("You are not shown on the chapter's public page."),
            _("You do not begin new conversations as a mentor."),
            _("Have you agreed to meet somebody? Tell your coordinator, so that somebody else can take over."),
        ),
    )
    return Draft(
        subject=_("You are paused as a mentor"),
        gist=" ".join(
            [
                _("You are paused as a mentor, because this is not valid any more: %(types)s.") % {"types": types}
                if types
                else _("A coordinator has paused you as a mentor."),
                _("Have you agreed to meet somebody? Tell your coordinator."),
            ]
        ),
        blocks=(
            *paragraphs(why % {"organisation": organisation_of(message), "types": types}),
            meaning,
            BulletList(heading=_("What you can do now"), items=_ways_back(message, paused)),
        ),
    )


def _ways_back(message: Message, paused: NotificationEvent) -> tuple[str, ...]:
    """Say how the pause ends: only what has expired is resumed by itself (rules 5 and 9)."""
    if paused.mentor.pause_cause != Mentor.PauseCause.CERTIFICATION_EXPIRED:
        return (_("Agree with your coordinator on how the pause can end."),)
    if message.notification.organisation.auto_resume:
        by_itself = _("As soon as all is recorded as renewed, you are active again.")
        return _("Renew, and send the renewal to your coordinator."), by_itself
    return (_("Renew, and send the renewal to your coordinator, who can end the pause."),)


def _resumed(message: Message, resumed: NotificationEvent) -> Draft:
    return Draft(
        subject=_("You are active as a mentor again"),
        gist=_("The pause is over: you are active as a mentor again."),
        blocks=(
            *paragraphs(
                _("The pause is over: you are active as a mentor in %(organisation)s again.")
                % {"organisation": organisation_of(message)}
            ),
            BulletList(
                heading=_("What this means"),
                items=(
                    *([_("You are shown on the chapter's public page again.")] if resumed.mentor.listed else []),
                    _("You can begin new conversations as a mentor again."),
                    _("Has somebody taken over for you? Ask your coordinator who carries on."),
                ),
            ),
        ),
    )


def _reminded(message: Message, reminders: list[NotificationEvent]) -> Draft:
    """Write of what expires, the soonest first, and ask for an answer."""
    first, others = expires(reminders[0].facts, today=message.today), len(reminders) - 1
    more = ngettext(
        "%(first)s, and %(count)d more certification soon", "%(first)s, and %(count)d more certifications soon", others
    )
    subject = more % {"first": first, "count": others} if others else first
    ask = _("Please answer.") if message.links.answer else _("Please tell your coordinator whether you renew.")
    return Draft(
        subject=subject,
        gist=f"{subject}. {ask}",
        blocks=(
            BulletList(
                heading=ngettext("This certification expires", "These certifications expire", len(reminders)),
                items=tuple(expires_with_date(event.facts, today=message.today) for event in reminders),
            ),
            *paragraphs(_what_follows(message), _("Send the renewal to your coordinator, who records it.")),
            *_ways_to_answer(message),
        ),
    )


def _what_follows(message: Message) -> str:
    if not message.notification.organisation.auto_pause:
        return _("Renew in good time, so that you can go on as a mentor.")
    return _(
        "Renew in good time, so that you can go on as a mentor. "
        "If it is required and expires without a renewal, you are paused until it is renewed."
    )


def _ways_to_answer(message: Message) -> tuple[Block, ...]:
    answers = message.links.answers
    if not answers:
        return paragraphs(_("Do you need help, or do you want to stop? Contact your coordinator."))
    links = tuple(Link(label=str(choice.label), url=url) for choice, url in answers.items())
    return (LinkList(heading=_("What are your plans?"), links=links),)
