"""What is recorded of accounts wherever it happens: at the desk, by the API, by a command, in a cascade.

What only one place does is recorded there. These are Django's signals, which no way of doing it passes by.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from knox.models import AuthToken

from mentors.accounts.security_trail import Kind, record_event
from mentors.models import CoordinatorRole, SecurityEvent, User

WATCHED = ("password", "email", "is_active", "is_superuser")


@receiver(user_login_failed)
def record_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_kwargs: Any) -> None:
    """A wrong password or code; or one that was not even looked at, because of the lock."""
    user = User.objects.filter(username=str(credentials.get("username") or "").replace("\0", "")).first()
    is_locked = getattr(request, "login_refused", False)
    record_event(Kind.LOGIN_LOCKED if is_locked else Kind.LOGIN_FAILED, user=user, request=request)


@receiver(user_logged_out)
def record_logout(request: Any, user: User | None, **_kwargs: Any) -> None:
    """Out of the desk; by the API it is a token that is revoked."""
    if user is not None and getattr(request, "auth", None) is None:
        record_event(Kind.LOGOUT, user=user)


@receiver(post_delete, sender=AuthToken)
def record_revoked(instance: Any, origin: object = None, **_kwargs: Any) -> None:
    """A token that still let somebody in, one by one or with all access."""
    has_expired = instance.expiry is not None and instance.expiry <= timezone.now()
    if not has_expired and not _is_with_account(origin):
        record_event(Kind.TOKEN_REVOKED, user=instance.user, token=instance.token_key)


@receiver(pre_save, sender=User)
def keep_before(instance: Any, update_fields: Any, **_kwargs: Any) -> None:
    """Keep what the account was, to see afterwards what has changed; nothing of one that is new."""
    watched = WATCHED if update_fields is None else sorted(set(WATCHED) & set(update_fields))
    instance._before = User.objects.filter(pk=instance.pk).values(*watched).first() if watched else None


@receiver(post_save, sender=User)
def record_changes(instance: Any, **_kwargs: Any) -> None:
    """What has changed of an account, whoever has saved it."""
    before = getattr(instance, "_before", None)
    if not before:
        return
    if instance._password is not None and "password" in before:  # which Django forgets after the save
        record_event(Kind.PASSWORD_CHANGED, user=instance)
    elif not instance.has_usable_password() and User(password=before.get("password", "!")).has_usable_password():
        record_event(Kind.PASSWORD_REMOVED, user=instance)
    if before.get("email", instance.email).lower() != instance.email.lower():
        record_event(Kind.EMAIL_CHANGED, user=instance, old_email=before["email"])
    if before.get("is_active", instance.is_active) != instance.is_active:
        record_event(Kind.ACCOUNT_OPENED if instance.is_active else Kind.ACCOUNT_CLOSED, user=instance)
    if before.get("is_superuser", instance.is_superuser) != instance.is_superuser:
        record_event(Kind.OPERATIONS_GIVEN if instance.is_superuser else Kind.OPERATIONS_ENDED, user=instance)


@receiver(pre_delete, sender=User)
def record_removed(instance: User, **_kwargs: Any) -> None:
    record_event(Kind.ACCOUNT_REMOVED, user=instance)


@receiver(post_save, sender=CoordinatorRole)
def record_role(instance: CoordinatorRole, created: bool, **_kwargs: Any) -> None:
    _record_role(Kind.ROLE_GIVEN if created else Kind.ROLE_CHANGED, instance)


@receiver(pre_delete, sender=CoordinatorRole)
def record_role_ended(instance: CoordinatorRole, origin: object = None, **_kwargs: Any) -> None:
    """Whatever takes it away: the desk, or a chapter that is removed, and is there still to be named."""
    if not _is_with_account(origin):
        _record_role(Kind.ROLE_ENDED, instance)


def _record_role(kind: SecurityEvent.Kind, role: CoordinatorRole) -> None:
    facts = {"duty": role.duty, "chapter": role.chapter.name if role.chapter else ""}
    record_event(kind, user=role.user, organisation=role.organisation, facts=facts)


def _is_with_account(origin: object) -> bool:
    """Say whether it goes together with the account, of which one event is enough."""
    model = origin.model if isinstance(origin, QuerySet) else type(origin)
    return isinstance(model, type) and issubclass(model, Model) and issubclass(model, User)
