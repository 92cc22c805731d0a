"""Who asks: a token for each device, hashed at rest (django-rest-knox), or who has come in at the desk."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.authentication import SessionScheme
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from mentors.accounts.second_factor import is_satisfied


class DeviceToken(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """Knox's own reads all tokens of the user at every request, to remove what has expired; here, logging in does."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            raise AuthenticationFailed(_("Invalid token."))
        return super().authenticate_credentials(token)

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Say whether it has expired."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


class DeskSession(SessionAuthentication):
    """A session at the desk, which opens no more here than there: not without the second factor."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return found if found and is_satisfied(found[0]) else None


class DeskSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "mentors.rest.authentication.DeskSession"


class DeviceTokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "mentors.rest.authentication.DeviceToken"
    name = "token"
