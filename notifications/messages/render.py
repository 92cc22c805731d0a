"""The words of each message, in the reader's language: one structure, from which the text and the HTML are made."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import translation
from django.utils.translation import gettext as _

from notifications.messages import digests, to_coordinators, to_invited, to_mentors, to_operations, to_owners
from notifications.messages.context import Message
from notifications.messages.fragments import Draft, clean, make_short, nothing_left, organisation_of, paragraphs
from notifications.models import Notification
from notifications.rendered_message import Link, Paragraph, RenderedMessage

Kind = Notification.Kind
WRITERS: dict[str, Callable[[Message], Draft]] = {
    Kind.NIGHT: to_mentors.night,
    Kind.REMIND: to_coordinators.remind,
    Kind.PAUSE: to_coordinators.pause,
    Kind.RESUME: to_coordinators.resume,
    Kind.HANDOVER: to_coordinators.handover,
    Kind.ANSWER: to_coordinators.answer,
    Kind.BOUNCED: to_coordinators.bounced,
    Kind.DIGEST: digests.digest,
    Kind.WEEKLY: digests.weekly,
    Kind.HELD: to_operations.held,
    Kind.NO_COORDINATOR: to_operations.no_coordinator,
    Kind.LATE: to_operations.late,
    Kind.FAILED: to_operations.failed,
    Kind.APP_GONE: to_operations.app_gone,
    Kind.INVITED: to_invited.invited,
    Kind.ACCOUNT: to_owners.account,
}


# They have nothing to say when nothing of what they tell is true any more.
TELL_OF_MENTORS = {
    Kind.NIGHT,
    Kind.REMIND,
    Kind.PAUSE,
    Kind.RESUME,
    Kind.HANDOVER,
    Kind.ANSWER,
    Kind.DIGEST,
    Kind.WEEKLY,
}


def render_message(message: Message) -> RenderedMessage:
    """Return the message in words, as of its `today`."""
    row = message.notification
    with translation.override(row.language):
        is_empty = row.kind in TELL_OF_MENTORS and not message.events
        draft = nothing_left() if is_empty else WRITERS[row.kind](message)
        first_name = clean(message.recipient_name).partition(" ")[0]
        return RenderedMessage(
            language=row.language,
            subject=draft.subject,
            short=make_short(
                organisation=organisation_of(message),
                gist=draft.gist,
                url=_where_to_act(message),
            ),
            greeting=_("Hi %(first_name)s,") % {"first_name": first_name} if first_name else _("Hi,"),
            blocks=draft.blocks,
            footer=_footer(message),
        )


def _where_to_act(message: Message) -> str:
    """Return the one link of a text message; who has nothing to answer any more is not asked to."""
    if any(event.kind == Kind.REMIND for event in message.events):
        return message.links.answer or message.links.desk
    return message.links.desk


def _footer(message: Message) -> tuple[Paragraph | Link, ...]:
    """Say why the reader gets this, and how to get it otherwise."""
    row, organisation = message.notification, {"organisation": organisation_of(message)}
    if row.kind == Kind.INVITED:
        return to_invited.footer(message)
    if row.kind == Kind.ACCOUNT:
        return to_owners.footer()
    if row.recipient_mentor_id:
        return paragraphs(
            _(
                "This is a service message about your certifications as a mentor in %(organisation)s. "
                "You get such messages as long as you are a mentor, and they cannot be turned off."
            )
            % organisation,
            _("Your coordinator can change where they come, and in which language."),
        )
    if not row.recipient_user_id:
        return paragraphs(
            _("You get this because you operate Nattevakt, for %(organisation)s among others.") % organisation
        )
    why = paragraphs(
        _("You get this because you are a coordinator in %(organisation)s.") % organisation,
        _("Whatever you choose, your inbox in Nattevakt keeps everything."),
    )
    if not message.links.preference:
        return why
    return *why, Link(label=_("Choose how you are told"), url=message.links.preference)
