"""What a new password ends, wherever it is set: at the desk, by a link, by a command."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _
from knox.models import AuthToken


class EndTokens:
    """Revokes the user's tokens for the API. The sessions end by themselves: they hold a fingerprint of the password.

    Django calls `password_changed` of every password validator when a new password has been saved; settings name
    this one among them.
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Take any password."""

    def get_help_text(self) -> str:
        return _("With a new password you have to log in again everywhere else.")

    def password_changed(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if user is not None:
            AuthToken.objects.filter(user=user).delete()
