"""Telling an account's owner what has happened to it: written with the event, sent at once by e-mail.

To the mailbox and nowhere else: an inbox, or an organisation's app, is read through the very access that it warns of.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver

from mentors.accounts.security_trail import event_recorded
from mentors.models import CoordinatorRole, Organisation, SecurityEvent, User
from notifications.preferences import find_chosen
from notifications.service import get_notification_service

Kind = SecurityEvent.Kind

TOLD = {
    Kind.NEW_DEVICE,
    Kind.LOGIN_LOCKED,
    Kind.TOKEN_ISSUED,
    Kind.CALENDAR_MADE,
    Kind.PASSWORD_CHANGED,
    Kind.PASSWORD_REMOVED,
    Kind.SECOND_FACTOR_ENROLLED,
    Kind.SECOND_FACTOR_REMOVED,
    Kind.SECOND_FACTOR_RESET,
    Kind.CODES_MADE,
    Kind.EMAIL_CHANGED,
    Kind.ROLE_GIVEN,
    Kind.ROLE_CHANGED,
    Kind.ROLE_ENDED,
    Kind.OPERATIONS_GIVEN,
    Kind.OPERATIONS_ENDED,
    Kind.ACCOUNT_OPENED,
    Kind.ACCOUNT_CLOSED,
}

ROLES = {Kind.ROLE_GIVEN, Kind.ROLE_CHANGED, Kind.ROLE_ENDED}


@receiver(event_recorded)
def tell_owner(event: SecurityEvent, old_email: str = "", **_kwargs: Any) -> None:
    """Write the mail, if owners are told of such an event; an address that was theirs until now is told too."""
    user = event.user
    if event.kind not in TOLD or user is None:
        return
    if event.kind in ROLES and event.door == SecurityEvent.Door.COMMAND:
        return  # no command of ours does it, but that of the demonstration; who works in a shell tells by themselves
    organisation = event.organisation or _first_organisation(user)
    chosen = find_chosen(user.pk)
    facts = {
        "what": event.kind,
        "at": event.at.isoformat(),
        "timezone": organisation.timezone if organisation else settings.TIME_ZONE,
        "organisation": organisation.name if organisation else "",
        "device": event.device,
        "address": event.address or "",
        "token": event.token,
        "by": (event.actor.get_full_name() or event.actor.get_username()) if event.actor else "",
    }
    default = organisation.language if organisation else settings.LANGUAGE_CODE
    language = chosen.reads if chosen else default
    if event.kind == Kind.LOGIN_LOCKED:  # which anybody can cause, from anywhere: of a whole hour, one mail
        key = f"account:{event.kind}:{event.at:%Y-%m-%dT%H}"
    else:  # of many in a minute and from one address, one mail
        key = f"account:{event.kind}:{event.at:%Y-%m-%dT%H:%M}:{event.address}:{event.organisation_id}"
    service = get_notification_service()
    if user.email:
        service.tell_owner(user=user, language=language, key=key, facts=facts, now=event.at)
    if old_email:
        to_before = facts | {"to": old_email}
        service.tell_owner(user=user, language=language, key=f"{key}:before", facts=to_before, now=event.at)


def _first_organisation(user: User) -> Organisation | None:
    roles = CoordinatorRole.objects.filter(user=user.pk).select_related("organisation")
    role = roles.order_by("pk").first()
    return role.organisation if role else None
