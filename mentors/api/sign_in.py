"""Logging in and out, and who one is."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_out
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework import serializers, status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mentors.accounts.access import AccessEnded, NoRole, issue_token
from mentors.accounts.login_lock import wait_of
from mentors.accounts.scope import Permission, Scope
from mentors.accounts.second_factor import CodeTooSoon, CodeWrong, LoginLocked, has_device, verify_code
from mentors.models import CoordinatorRole, User
from mentors.rest.authentication import DeviceToken
from mentors.rest.openapi import examples
from mentors.rest.serializers import StrictSerializer
from mentors.rest.throttles import PerLogin


@examples(
    {
        "Login": {"username": "kari", "password": "correct horse"},
        "Login with a second factor": {"username": "kari", "password": "correct horse", "code": "492039"},
    }
)
class LoginSerializer(StrictSerializer):
    """Who wants to log in."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)
    code = serializers.CharField(
        max_length=32,
        required=False,
        help_text="From the user's app, or from paper; without it, who has a device gets `second_factor_required`.",
    )


@examples({"Token": {"token": "7c61…", "expiry": "2026-12-22T08:00:00Z"}})
class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="Shown this once: only its hash is kept.")
    expiry = serializers.DateTimeField(allow_null=True)


class RoleSerializer(serializers.ModelSerializer[CoordinatorRole]):
    organisation = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    organisation_name = serializers.CharField(source="organisation.name")
    chapter_name = serializers.CharField(source="chapter.name", default=None, allow_null=True)

    class Meta:
        model = CoordinatorRole
        fields = ("duty", "organisation", "organisation_name", "chapter", "chapter_name")


@examples(
    {
        "A chapter's coordinator": {
            "id": 3,
            "username": "kari",
            "name": "Kari Lie",
            "email": "kari@example.org",
            "is_superuser": False,
            "roles": [
                {
                    "duty": "coordinator",
                    "organisation": "hlf",
                    "organisation_name": "HLF",
                    "chapter": 2,
                    "chapter_name": "Oslo",
                }
            ],
        }
    }
)
class MeSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="get_full_name")
    roles = RoleSerializer(many=True)

    class Meta:
        model = User
        fields = ("id", "username", "name", "email", "is_superuser", "roles")


class LoginView(APIView):
    """Guarded as the desk's page is: by the lock on guessing, and an address may only try so often, here and there."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (PerLogin,)
    is_login = True

    @extend_schema(operation_id="login", request=LoginSerializer, responses={200: TokenSerializer}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Log in: a token for this device."""
        credentials = LoginSerializer(data=request.data)
        credentials.is_valid(raise_exception=True)
        code = credentials.validated_data.pop("code", "")
        user = authenticate(request._request, **credentials.validated_data)
        if getattr(request._request, "axes_locked_out", False):
            raise _locked(request)
        if not isinstance(user, User):
            raise AuthenticationFailed(_("The username or the password is wrong."))
        if not Scope.of(user).may(Permission.SEE):
            raise AuthenticationFailed(str(NoRole()), NoRole.code)
        if has_device(user):
            _take_code(request, user, code)
        elif settings.SECOND_FACTOR_REQUIRED:
            advice = _("A second factor is needed: log in at the desk once, and set up an app there.")
            raise AuthenticationFailed(advice, "second_factor_missing")
        try:
            issued, token = issue_token(user)
        except (AccessEnded, NoRole) as refusal:
            raise AuthenticationFailed(str(refusal), refusal.code) from refusal
        return Response(TokenSerializer({"token": token, "expiry": issued.expiry}).data)

    def get_authenticate_header(self, request: Request) -> str:
        return "Token"  # without it, REST framework makes 403 of a wrong password


def _take_code(request: Request, user: User, code: str) -> None:
    if not code:
        raise AuthenticationFailed(_("A code from your app, or from paper, is needed too."), "second_factor_required")
    try:
        verify_code(user, code, request=request._request, now=timezone.now())
    except CodeTooSoon as refusal:
        raise Throttled(wait=refusal.seconds, detail=str(refusal)) from refusal
    except CodeWrong as refusal:
        if getattr(request._request, "axes_locked_out", False):
            raise _locked(request) from refusal
        raise AuthenticationFailed(str(refusal), refusal.code) from refusal
    except LoginLocked as refusal:
        raise _locked(request) from refusal


def _locked(request: Request) -> Throttled:
    return Throttled(wait=wait_of(request._request).total_seconds(), detail=str(LoginLocked.message))


class LogoutView(APIView):
    authentication_classes = (DeviceToken,)

    @extend_schema(operation_id="logout", request=None, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Revoke the token that the request was made with."""
        cast("AuthToken", request.auth).delete()
        user_logged_out.send(sender=User, request=request, user=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class LogoutAllView(APIView):
    @extend_schema(operation_id="logout_all", request=None, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Revoke every token of the user, on all devices."""
        AuthToken.objects.filter(user=cast("User", request.user)).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class MeView(APIView):
    @extend_schema(operation_id="me", responses={200: MeSerializer}, tags=["auth"])
    def get(self, request: Request) -> Response:
        """Say who one is, and in which roles."""
        user = User.objects.prefetch_related("roles__organisation", "roles__chapter").get(
            pk=cast("User", request.user).pk
        )
        return Response(MeSerializer(user).data)
