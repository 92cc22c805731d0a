"""Telling somebody that they are invited: written in the transaction that invites, sent at once by e-mail."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy

from mentors.accounts.invitations import Invited, invite_coordinator, renew_invitation
from mentors.conflicts import ConflictError
from mentors.models import Chapter, Invitation, Organisation, User
from notifications.service import get_notification_service


class NoAddressOfOurs(ConflictError):
    """An invitation is nothing without its link."""

    code = "no_public_url"
    message = gettext_lazy("No link can be sent, because PUBLIC_URL is not set: ask operations to set it.")


@transaction.atomic
def invite(
    *,
    organisation: Organisation,
    name: str,
    email: str,
    duty: str,
    chapter: Chapter | None,
    actor: User,
    now: datetime,
) -> Invited:
    """Offer somebody a role, and tell them; who has it already is told nothing. Raises what `invite_coordinator` does.

    Also raises NoAddressOfOurs.
    """
    _refuse_without_address()
    invited = invite_coordinator(organisation=organisation, name=name, email=email, duty=duty, chapter=chapter, now=now)
    if invited.invitation and invited.is_new:
        _tell(invited.invitation, actor=actor, now=now)
    return invited


@transaction.atomic
def invite_again(invitation: Invitation, *, actor: User, now: datetime) -> None:
    """Send the invitation anew; the links from before are void. Raises ChangedMeanwhile and NoAddressOfOurs."""
    _refuse_without_address()
    renew_invitation(invitation, now=now)
    _tell(invitation, actor=actor, now=now)


def _refuse_without_address() -> None:
    if not settings.PUBLIC_URL:
        raise NoAddressOfOurs


def _tell(invitation: Invitation, *, actor: User, now: datetime) -> None:
    get_notification_service().invite(
        user=invitation.user,
        organisation=invitation.organisation,
        key=f"invited:{invitation.pk}:{now:%Y-%m-%dT%H:%M}",  # a second press at once is the same message
        facts={
            "invitation": invitation.pk,
            "duty": invitation.duty,
            "chapter": invitation.chapter.name if invitation.chapter else "",
            "invited_by": actor.get_full_name(),
        },
        now=now,
    )
