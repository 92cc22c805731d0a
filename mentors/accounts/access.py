"""What lets somebody in to an account besides the password: sessions, tokens, links, the calendar's address.

All of it ends at once, and for good, when the password or the second factor is another, when the account is closed, and
when its last role ends. Whatever is given out is given under the lock of the account that the end takes too: nothing
slips out beside it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal, receiver
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from mentors.accounts.scope import Permission, Scope
from mentors.accounts.security_trail import Kind, record_event
from mentors.accounts.sessions import SessionStore
from mentors.conflicts import ChangedMeanwhile, ConflictError
from mentors.models import CoordinatorRole, Session, User
from mentors.models.organisations import make_access_key

log = structlog.get_logger(__name__)

access_ended = Signal()  # argument: user. Apps above end here what they have given out.


class NoRole(ConflictError):
    """An account without a role is let in nowhere."""

    code = "no_role"
    message = _("This account has no role at the desk.")


class AccessEnded(ChangedMeanwhile):
    """Whoever asks has come in by what has been ended meanwhile."""

    code = "access_ended"
    message = _("Log in again: your access was ended a moment ago.")


@transaction.atomic
def end_all_access(user: User) -> None:
    """End every session, token and link of the account, and what other apps have given out; none comes back."""
    user.access_key = make_access_key()
    User.objects.filter(pk=user.pk).update(access_key=user.access_key)
    Session.objects.filter(user=user).delete()
    AuthToken.objects.filter(user=user).delete()
    access_ended.send(sender=User, user=user)
    log.info("access ended", event_name="access_ended", user_id=user.pk)


def lock_account(user: User) -> None:
    """Lock the account in which something is given out. Raises AccessEnded and NoRole by what it is by now."""
    current = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not current.is_active or current.access_key != user.access_key:
        raise AccessEnded
    if not Scope.of(current).may(Permission.SEE):
        raise NoRole


@transaction.atomic
def issue_token(user: User) -> tuple[AuthToken, str]:
    """Give a token for the API: its row, and the secret that is shown once. Raises AccessEnded and NoRole."""
    lock_account(user)
    issued: tuple[AuthToken, str] = AuthToken.objects.create(user)
    record_event(Kind.TOKEN_ISSUED, user=user, token=issued[0].token_key)
    return issued


def clear_expired(*, now: datetime) -> None:
    """Remove sessions and tokens that are over."""
    SessionStore.clear_expired()
    AuthToken.objects.filter(expiry__lt=now).delete()


@receiver(pre_save, sender=User)
def notice_who_may_enter(instance: User, **_kwargs: Any) -> None:
    """Note whether the account is about to be closed or opened, gets or loses all rights, or loses its password.

    A new password ends access by itself (`EndAccess`).
    """
    stored = User.objects.filter(pk=instance.pk).values("is_active", "is_superuser", "password").first()
    instance.ends_access = stored is not None and (  # type: ignore[attr-defined]  # for the receiver below
        (stored["is_active"], stored["is_superuser"]) != (instance.is_active, instance.is_superuser)
        or (stored["password"] != instance.password and not instance.has_usable_password())
    )


@receiver(post_save, sender=User)
def end_access_of_before(instance: User, **_kwargs: Any) -> None:
    """Whatever was given out before lets nobody in: neither to a closed account, nor to one that is opened again."""
    if instance.ends_access:  # type: ignore[attr-defined]  # of the receiver above
        end_all_access(instance)


@receiver(post_delete, sender=CoordinatorRole)
def end_access_without_role(instance: CoordinatorRole, **_kwargs: Any) -> None:
    """The last role ends with all access, whatever took it away: the desk, or a chapter that was removed."""
    user = User.objects.filter(pk=instance.user_id).first()
    if user and not Scope.of(user).may(Permission.SEE):
        end_all_access(user)
