"""A new password: the link to it, and what it ends, wherever it is set: at the desk, by a link, by a command."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.utils.translation import gettext as _

from mentors.accounts.access import end_all_access
from mentors.models import User


class PasswordLinks(PasswordResetTokenGenerator):
    """Makes the secret of a link to a new password, which is void as soon as all access to the account is ended."""

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{user.access_key}"


class PasswordOnly:
    """A form that writes a new password, and nothing else: whoever has closed the account meanwhile has closed it."""

    def set_password_and_save(self, user: Any, *args: Any, commit: bool = True, **kwargs: Any) -> Any:
        user = super().set_password_and_save(user, *args, commit=False, **kwargs)  # type: ignore[misc]  # of the form
        if commit:
            user.save(update_fields=["password"])
        return user


class EndAccess:
    """Ends all access to the account. Who sets the password at the desk stays there.

    Django calls `password_changed` of every password validator when a new password has been saved; settings name
    this one among them.
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Take any password."""

    def get_help_text(self) -> str:
        return _("With a new password you have to log in again everywhere else.")

    def password_changed(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if isinstance(user, User):
            end_all_access(user)
