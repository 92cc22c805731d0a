"""What the owner of an account is told of it: what has happened, when and from where, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mentors.models import SecurityEvent, is_timezone
from notifications.messages.context import Message
from notifications.messages.fragments import Draft, clean, paragraphs
from notifications.rendered_message import Block, BulletList, Link, LinkList, Paragraph

Kind = SecurityEvent.Kind

# A subject, and with a full stop a sentence.
SAYS = {
    Kind.NEW_DEVICE: gettext_lazy("Your account was used in a new browser"),
    Kind.LOGIN_LOCKED: gettext_lazy("Somebody tries passwords for your account"),
    Kind.TOKEN_ISSUED: gettext_lazy("A new app or program is logged in to your account"),
    Kind.CALENDAR_MADE: gettext_lazy("Your calendar has a new address"),
    Kind.PASSWORD_CHANGED: gettext_lazy("Your password was changed"),
    Kind.PASSWORD_REMOVED: gettext_lazy("Your password was taken away"),
    Kind.SECOND_FACTOR_ENROLLED: gettext_lazy("An app for codes was set up for your account"),
    Kind.SECOND_FACTOR_REMOVED: gettext_lazy("The second factor of your account was removed"),
    Kind.SECOND_FACTOR_RESET: gettext_lazy("The second factor of your account was reset"),
    Kind.CODES_MADE: gettext_lazy("New codes for paper were made for your account"),
    Kind.EMAIL_CHANGED: gettext_lazy("The e-mail address of your account was changed"),
    Kind.ROLE_GIVEN: gettext_lazy("You have a new role in %(organisation)s"),
    Kind.ROLE_CHANGED: gettext_lazy("A role of yours in %(organisation)s was changed"),
    Kind.ROLE_ENDED: gettext_lazy("A role of yours in %(organisation)s has ended"),
    Kind.OPERATIONS_GIVEN: gettext_lazy("Your account may now operate the whole of Nattevakt"),
    Kind.OPERATIONS_ENDED: gettext_lazy("Your account may no longer operate Nattevakt"),
    Kind.ACCOUNT_OPENED: gettext_lazy("Your account was opened again"),
    Kind.ACCOUNT_CLOSED: gettext_lazy("Your account was closed"),
}
OTHERWISE = gettext_lazy("Something about your account has changed")
# What can only be another's doing: no password of one's own helps against it.
FOR_OTHERS = {
    Kind.PASSWORD_REMOVED,
    Kind.EMAIL_CHANGED,
    Kind.ROLE_GIVEN,
    Kind.ROLE_CHANGED,
    Kind.ROLE_ENDED,
    Kind.OPERATIONS_GIVEN,
    Kind.OPERATIONS_ENDED,
    Kind.ACCOUNT_OPENED,
    Kind.ACCOUNT_CLOSED,
}


def account(message: Message) -> Draft:
    """Say what has happened, what is known of it, and what to do if it was somebody else."""
    facts = message.notification.context
    what = facts.get("what", "")
    says = SAYS.get(what, OTHERWISE) % {"organisation": clean(facts.get("organisation") or "")}
    return Draft(
        subject=says,
        gist=f"{says}.",
        blocks=(
            *paragraphs(f"{says}."),
            BulletList(heading=_("What we know of it:"), items=_known(message)),
            *_what_to_do(message, is_anothers=what in FOR_OTHERS),
        ),
    )


def footer() -> tuple[Paragraph, ...]:
    return paragraphs(
        _("You get this because it is about your own account in Nattevakt. Such messages cannot be turned off."),
    )


def _known(message: Message) -> tuple[str, ...]:
    facts = message.notification.context
    user = message.notification.recipient_user
    known = [
        _("Account: %(username)s") % {"username": clean(user.get_username()) if user else ""},
        _("When: %(when)s") % {"when": _when(facts["at"], facts["timezone"])} if facts.get("at") else "",
        _("Device: %(device)s") % {"device": clean(facts["device"])} if facts.get("device") else "",
        _("Internet address: %(address)s") % {"address": clean(facts["address"])} if facts.get("address") else "",
        _("Token: %(token)s…") % {"token": clean(facts["token"])} if facts.get("token") else "",
        _("Done by: %(name)s") % {"name": clean(facts["by"])} if facts.get("by") else "",
    ]
    return tuple(filter(None, known))


def _when(at: str, timezone: str) -> str:
    """Return the time by the reader's clock; if nobody knows her time zone, by UTC, and say so."""
    zone = timezone if is_timezone(timezone) else "UTC"
    local = datetime.fromisoformat(at).astimezone(ZoneInfo(zone))
    when = _("%(date)s at %(time)s") % {
        "date": date_format(local, "DATE_FORMAT"),
        "time": date_format(local, "TIME_FORMAT"),
    }
    return f"{when} UTC" if zone == "UTC" else when


def _what_to_do(message: Message, *, is_anothers: bool) -> tuple[Block, ...]:
    facts, links = message.notification.context, message.links
    organisation = clean(facts.get("organisation") or "")
    ask = (
        _("Then tell those who lead %(organisation)s in Nattevakt.") % {"organisation": organisation}
        if organisation
        else _("Then tell those who operate Nattevakt.")
    )
    if is_anothers:
        return paragraphs(_("Do you know why? Then there is nothing to do."), f"{_('Is it a mistake?')} {ask}")
    was_it = _("Was it you? Then there is nothing to do.")
    if facts.get("what") == Kind.LOGIN_LOCKED:
        refused = _("Nobody has come in: the login waits after too many wrong passwords or codes.")
        return paragraphs(f"{refused} {was_it}", f"{_('Was it not you, and does it go on?')} {ask}")
    change = _("Was it not you? Then choose a new password at once: it ends everything that is logged in.")
    if not links.password:
        return paragraphs(was_it, f"{change} {ask}")
    ways = (
        Link(label=_("Choose a new password"), url=links.password),
        Link(label=_("See where you are logged in"), url=links.access),
    )
    return *paragraphs(was_it), LinkList(heading=change, links=ways), *paragraphs(ask)
