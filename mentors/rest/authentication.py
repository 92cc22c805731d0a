"""Authentication: a token for each device, hashed at rest (django-rest-knox), or a session of the desk."""

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
    """A token by knox. Knox itself deletes expired tokens at every request; here, a login deletes them."""

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isascii():
            raise AuthenticationFailed(_("Invalid token."))
        return super().authenticate_credentials(token)

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Return whether the token has expired."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


class DeskSession(SessionAuthentication):
    """A session of the desk. As at the desk, it counts only with the second factor."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return found if found and is_satisfied(found[0]) else None


class DeskSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "mentors.rest.authentication.DeskSession"


class DeviceTokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "mentors.rest.authentication.DeviceToken"
    name = "token"
