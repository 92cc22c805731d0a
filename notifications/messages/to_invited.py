"""What somebody is told who is invited to the desk."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mentors.models import CoordinatorRole
from notifications.messages.context import Message
from notifications.messages.fragments import Draft, clean, organisation_of, paragraphs, to_the_desk
from notifications.rendered_message import Link, LinkList, Paragraph


def invited(message: Message) -> Draft:
    """Invite to the desk: by a link to accept, where who has no password yet chooses one."""
    names = {"organisation": organisation_of(message)}
    duty = _duty(message)
    by = clean(message.notification.context.get("invited_by") or "")
    who = _("%(name)s has invited you.") % {"name": by} if by else ""
    return Draft(
        subject=_("You are invited to Nattevakt, for %(organisation)s") % names,
        gist=duty,
        blocks=(
            *paragraphs(
                duty,
                who,
                _(
                    "Nattevakt watches over the certifications of the mentors: it reminds them in time, "
                    "and tells you who is paused and why."
                ),
            ),
            *(_by_link(message) if message.links.invitation else to_the_desk(message)),
        ),
    )


def footer(message: Message) -> tuple[Paragraph, ...]:
    return paragraphs(
        _("You get this because somebody in %(organisation)s has typed in your e-mail address.")
        % {"organisation": organisation_of(message)},
        _("Do you know nothing of it? Then do nothing, and show the message to nobody."),
    )


def _duty(message: Message) -> str:
    facts = message.notification.context
    names = {"organisation": organisation_of(message), "chapter": clean(facts.get("chapter") or "")}
    if facts.get("duty") == CoordinatorRole.Duty.AUDITOR:
        return _("You are invited to read what the night runs of %(organisation)s have done.") % names
    if names["chapter"]:
        return _("You are invited to be a coordinator of %(chapter)s in %(organisation)s.") % names
    return _("You are invited to be a coordinator of the whole of %(organisation)s.") % names


def _by_link(message: Message) -> tuple[LinkList | Paragraph, ...]:
    days = settings.INVITATION_DAYS
    user = message.notification.recipient_user
    has_password = user is not None and user.has_usable_password()
    name = {"username": clean(user.get_username()) if user else ""}
    login = (
        _("You have an account already: log in as before, with the name %(username)s.")
        if has_password
        else _("There you choose a password. Then you log in with it and the name %(username)s.")
    ) % name
    good = ngettext(
        "The link is for you alone, good once, and for %(days)d day. Afterwards, ask for a new one.",
        "The link is for you alone, good once, and for %(days)d days. Afterwards, ask for a new one.",
        days,
    ) % {"days": days}
    link = Link(label=_("Accept the invitation"), url=message.links.invitation)
    return LinkList(heading="", links=(link,)), *paragraphs(login, good)
