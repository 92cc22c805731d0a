"""Logging in with a password and a code."""

from __future__ import annotations

import re
from base64 import b32decode
from typing import Any

from django.test import Client
from django_otp.oath import totp

from mentors.models import AuthenticatorApp, User

PASSWORD = "correct horse battery staple"
KEY = "3132333435363738393031323334353637383930"
LOGIN, CODE, DEVICE, HOME = "/admin/login/", "/admin/login/code/", "/admin/second-factor/device/", "/admin/"
ACCOUNT, CODES, REMOVE = "/admin/second-factor/", "/admin/second-factor/codes/", "/admin/second-factor/remove/"


def code_of(key: str) -> str:
    return f"{totp(bytes.fromhex(key)):06}"  # type: ignore[no-untyped-call]


def give_app(user: User, *, key: str = KEY) -> AuthenticatorApp:
    """Have the user an app that has the key (hex), as if it had been set up long ago."""
    sealed = AuthenticatorApp.seal(bytes.fromhex(key), user_id=user.pk)
    device: AuthenticatorApp = AuthenticatorApp.objects.create(user=user, name="app", key=sealed)
    return device


def key_on(page: str) -> str:
    """Return the key that the page shows to be typed in."""
    found = re.search(r'door-secret">([a-z2-7 ]+)<', page)
    assert found
    return b32decode(found[1].replace(" ", "").upper()).hex()


def log_in(browser: Client, *, to: str = "") -> Any:
    return browser.post(LOGIN + (f"?next={to}" if to else ""), {"username": "kari", "password": PASSWORD})


def is_in(browser: Client) -> bool:
    return browser.get(HOME).status_code == 200 and browser.get("/api/v1/me").status_code == 200
