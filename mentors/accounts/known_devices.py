"""Browsers in which somebody has logged in before: the lock on guessing does not slow them down.

A signed cookie says whose they are, and lets nobody in. It is worth nothing once all access to the account is ended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core import signing
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare

from mentors.models import User

PATH = "/admin/"
COOKIE, SALT = "nattevakt_device", "nattevakt.device"
LASTS = timedelta(days=400)  # browsers keep none longer
MOST = 5  # accounts of one browser, the newest

Known = dict[str, str]  # the fingerprint of the account's access, by the user's id


def is_known(request: HttpRequest, user: User) -> bool:
    """Say whether the user has logged in before with the browser that asks."""
    if getattr(request, "device_of", None) == user:  # by a link in the owner's mailbox, a moment ago
        return True
    return constant_time_compare(_read(request).get(str(user.pk), ""), _fingerprint(user))


def remember_device(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Any:
    """A Django middleware: give the browser its cookie in the answer to a login.

    Who ends all access and stays, as by a new password, gets another one.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        user: User | None = getattr(request, "device_of", None) or _find_stayer(request, response)
        if user:
            known = {str(user.pk): _fingerprint(user)}
            others = [one for one in _read(request).items() if one[0] != str(user.pk)]
            value = signing.dumps(known | dict(others[: MOST - 1]), salt=SALT)
            response.set_cookie(
                COOKIE,
                value,
                max_age=LASTS,
                path=PATH,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    return answer


def _find_stayer(request: HttpRequest, response: HttpResponseBase) -> User | None:
    """Return who is logged in at the desk and has changed something, if the cookie is not the account's by now."""
    if request.method != "POST" or not request.path.startswith(PATH) or response.status_code >= 400:
        return None
    user = request.user
    return user if isinstance(user, User) and not is_known(request, user) else None


@receiver(user_logged_in)
def know_device(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Make the browser a known one: by a login, or by a link that was read in the owner's mailbox."""
    request.device_of = user  # type: ignore[attr-defined]  # for the middleware


def _read(request: HttpRequest) -> Known:
    try:
        known: Known = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        return {}
    return known


def _fingerprint(user: User) -> str:
    """Return what is the same until all access to the account is ended."""
    return sha256(f"{user.pk}:{user.access_key}".encode()).hexdigest()[:32]
