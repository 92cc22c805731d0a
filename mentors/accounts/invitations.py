"""Inviting coordinators: an account, a role that is offered to it, and the link by which its owner accepts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.utils.translation import gettext as _

from mentors.conflicts import ChangedMeanwhile, ConflictError
from mentors.models import Chapter, CoordinatorRole, Invitation, Organisation, User

log = structlog.get_logger(__name__)


class AccountUnclear(ConflictError):
    """The address does not lead to one account that is open."""

    code = "account_unclear"


@dataclass(frozen=True, kw_only=True)
class Invited:
    """What somebody is invited to; `is_new` if they have neither the role nor the invitation already."""

    invitation: Invitation | None
    is_new: bool


class InvitationTokens(PasswordResetTokenGenerator):
    """Makes the secret of an invitation's link, which is stored nowhere.

    It is good until the invitation is accepted, withdrawn or sent again, and for INVITATION_DAYS.
    """

    key_salt = "nattevakt.invitation"

    def __init__(self, invitation: Invitation) -> None:
        super().__init__()
        self.invitation = invitation

    def make_token(self, user: AbstractBaseUser) -> str:
        return self._signer().sign(str(self.invitation.pk))

    def check_token(self, user: AbstractBaseUser | None, token: str | None) -> bool:
        if not token or user is None or user.pk != self.invitation.user_id or not user.is_active:
            return False
        try:
            self._signer().unsign(token, max_age=timedelta(days=settings.INVITATION_DAYS))
        except BadSignature:
            return False
        return True

    def _signer(self) -> TimestampSigner:
        user = self.invitation.user
        bound_to = f"{self.invitation.sent_at.isoformat()}:{user.email}:{user.access_key}"
        return TimestampSigner(sep=".", salt=f"{self.key_salt}:{bound_to}")


def find_invitation(invitation_id: int) -> Invitation | None:
    """Return the invitation with its user and place; None if there is none (any more)."""
    found = Invitation.objects.select_related("user", "organisation", "chapter")
    return found.filter(pk=invitation_id).first()


@transaction.atomic
def invite_coordinator(
    *, organisation: Organisation, name: str, email: str, duty: str, chapter: Chapter | None = None, now: datetime
) -> Invited:
    """Offer a role to whoever has the address, and make an account for whoever has none; twice, nothing changes.

    Raises AccountUnclear, and ValidationError for a chapter that does not go with the organisation or the duty.
    """
    if chapter and chapter.organisation_id != organisation.pk:
        raise ValidationError({"chapter": _("The chapter belongs to another organisation.")})
    if chapter and duty == CoordinatorRole.Duty.AUDITOR:
        raise ValidationError({"chapter": _("An auditor reads the runs of the whole organisation: choose no chapter.")})
    user = _find_account(email) or _make_account(name=name, email=email)
    offered = {"user": user, "duty": duty, "organisation": organisation, "chapter": chapter}
    if CoordinatorRole.objects.filter(**offered).exists():
        return Invited(invitation=None, is_new=False)
    invitation, is_new = Invitation.objects.get_or_create(**offered, defaults={"sent_at": now})
    return Invited(invitation=invitation, is_new=is_new)


@transaction.atomic
def renew_invitation(invitation: Invitation, *, now: datetime) -> None:
    """Make the links void that were sent before another one is. Raises ChangedMeanwhile if it is not open any more."""
    if not Invitation.objects.filter(pk=invitation.pk).update(sent_at=now):
        raise ChangedMeanwhile
    invitation.sent_at = now


@transaction.atomic
def accept_invitation(invitation: Invitation) -> CoordinatorRole:
    """Make the role of it. Raises ChangedMeanwhile if it has been accepted or withdrawn at the same moment."""
    if not Invitation.objects.select_for_update().filter(pk=invitation.pk, sent_at=invitation.sent_at).exists():
        raise ChangedMeanwhile
    role, _is_new = CoordinatorRole.objects.get_or_create(
        user=invitation.user,
        duty=invitation.duty,
        organisation=invitation.organisation,
        chapter=invitation.chapter,
    )
    Invitation.objects.filter(pk=invitation.pk).delete()
    log.info("invitation accepted", event_name="invitation_accepted", user_id=role.user_id, role_id=role.pk)
    return role


def _find_account(email: str) -> User | None:
    """Return the one open account that has the address as its name or as its address."""
    found = list(User.objects.filter(username__iexact=email)) or list(User.objects.filter(email__iexact=email))
    active = [user for user in found if user.is_active]
    if len(active) > 1:
        raise AccountUnclear(_("Several accounts have this address: ask operations to give one of them the role."))
    if found and not active:
        raise AccountUnclear(_("The account with this address is closed: ask operations to open it again."))
    return active[0] if active else None


def _make_account(*, name: str, email: str) -> User:
    first_name, _space, last_name = name.strip().rpartition(" ")
    if not first_name:
        first_name, last_name = last_name, ""
    # Whoever invites the same address at the same moment finds the account that the other has made.
    user, _created = User.objects.get_or_create(
        username=email.lower(),
        defaults={
            "email": email.lower(),
            "first_name": first_name,
            "last_name": last_name,
            "password": make_password(None),  # none that anybody could give
        },
    )
    return user
