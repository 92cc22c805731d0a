"""Inviting coordinators: an account, a role in it, and the link by which its owner takes it over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mentors.conflicts import ConflictError
from mentors.models import Chapter, CoordinatorRole, Organisation, User


class AccountUnclear(ConflictError):
    """The address does not lead to one account that is open."""

    code = "account_unclear"


class InvitationAccepted(ConflictError):
    """Who was invited has chosen a password already."""

    code = "invitation_accepted"
    message = gettext_lazy("The invitation has been accepted: there is nothing to send again.")


@dataclass(frozen=True, kw_only=True)
class Invited:
    """The role that somebody was invited to, and whether it is new."""

    role: CoordinatorRole
    is_new: bool


class InvitationTokens(PasswordResetTokenGenerator):
    """Makes the secret of an invitation's link, which is stored nowhere.

    It is bound to the password that nobody knows and the account was made with: it is void as soon as another is set,
    by its owner or by the next invitation, and after INVITATION_DAYS. Django's own links have a shorter life.
    """

    key_salt = "nattevakt.invitation"

    def make_token(self, user: AbstractBaseUser) -> str:
        return self._signer(user).sign(str(user.pk))

    def check_token(self, user: AbstractBaseUser | None, token: str | None) -> bool:
        if user is None or not token or not is_outstanding(user):
            return False
        try:
            self._signer(user).unsign(token, max_age=timedelta(days=settings.INVITATION_DAYS))
        except BadSignature:
            return False
        return True

    def _signer(self, user: Any) -> TimestampSigner:
        return TimestampSigner(sep=".", salt=f"{self.key_salt}:{user.password}:{user.email}")


def is_outstanding(user: Any) -> bool:
    """Say whether somebody was invited, still has a role, and has not chosen a password yet."""
    return bool(user.is_active and not user.has_usable_password() and user.roles.exists())


@transaction.atomic
def invite_coordinator(
    *, organisation: Organisation, name: str, email: str, duty: str, chapter: Chapter | None = None
) -> Invited:
    """Give a role to whoever has the address, and an account to whoever has none; invited twice, nothing changes.

    Raises AccountUnclear, and ValidationError for a chapter that does not go with the organisation or the duty.
    """
    if chapter and chapter.organisation_id != organisation.pk:
        raise ValidationError({"chapter": _("The chapter belongs to another organisation.")})
    if chapter and duty == CoordinatorRole.Duty.AUDITOR:
        raise ValidationError({"chapter": _("An auditor reads the runs of the whole organisation: choose no chapter.")})
    user = _find_account(email) or _make_account(name=name, email=email)
    role, is_new = CoordinatorRole.objects.get_or_create(
        user=user, duty=duty, organisation=organisation, chapter=chapter
    )
    if is_new:
        _void_links(user)
    return Invited(role=role, is_new=is_new)


@transaction.atomic
def renew_invitation(role: CoordinatorRole) -> None:
    """Make the links void that were sent before another one is. Raises InvitationAccepted."""
    user = User.objects.select_for_update().get(pk=role.user_id)
    if not is_outstanding(user):
        raise InvitationAccepted
    _void_links(user)


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


def _void_links(user: User) -> None:
    """Let a link be good only once it is the newest: it is bound to the password, which nobody knows."""
    if not user.has_usable_password():
        user.set_unusable_password()
        user.save(update_fields=["password"])
