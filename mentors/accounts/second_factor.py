"""The second factor of a login: codes of an app (TOTP), and codes on paper for the day on which it is lost.

django-otp keeps the devices: an app's key encrypted, and of a code on paper its hash. An app's code is good once, and
after wrong ones it makes everybody wait, each time twice as long. Besides, a wrong code counts as a wrong password
does: so many lock the name and the address (django-axes).
"""

from __future__ import annotations

import re
import secrets
from base64 import b32encode, b64encode
from datetime import datetime
from hashlib import sha256
from math import ceil
from time import time
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken

from mentors.accounts.access import end_all_access
from mentors.accounts.security_signals import record_failure
from mentors.accounts.security_trail import Kind, record_event
from mentors.conflicts import ConflictError
from mentors.encryption import Undecryptable
from mentors.models import AuthenticatorApp, User

log = structlog.get_logger(__name__)

BACKUP_CODES = 10
BACKUP_CODE_BYTES = 14  # 112 bits: too many to be guessed from their hashes, which so need no salt (ASVS 2.6)
APP_CODE = re.compile(r"[0-9]{6}")
SPACES = re.compile(r"[\s-]")
TOLERANCE = 1  # steps of half a minute by which the clock of a telephone may be wrong


class CodeWrong(ConflictError):
    """The code is none of the user's devices', or has been used."""

    code = "second_factor_wrong"
    message = _("The code is wrong, or has been used. Wait for the next one.")


class CodeTooSoon(ConflictError):
    """After wrong codes no device takes any for a while."""

    code = "second_factor_too_soon"
    message = _("There were too many wrong codes: wait for %(seconds)d seconds, then try again.")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(self.message % {"seconds": seconds})


class LoginLocked(ConflictError):
    """The name is locked for this address."""

    code = "login_locked"
    message = _("Too many failed logins: wait, then try again.")


def has_device(user: User) -> bool:
    return find_device(user) is not None


def find_device(user: User) -> AuthenticatorApp | None:
    """Return the user's app; codes on paper alone are no second factor."""
    device: AuthenticatorApp | None = AuthenticatorApp.objects.filter(user=user, confirmed=True).first()
    return device


def count_backup_codes(user: User) -> int:
    count: int = StaticToken.objects.filter(device__user=user).count()
    return count


def is_satisfied(user: User | AnonymousUser) -> bool:
    """Say whether the user of a session has given a code, or needs to give none. Read once a request.

    Who has a device always needs to, also where none is required.
    """
    known: bool | None = getattr(user, "second_factor_is_satisfied", None)
    if known is None:
        has_given_code = getattr(user, "otp_device", None) is not None  # which OTPMiddleware has read from the session
        known = isinstance(user, User) and (has_given_code or not (settings.SECOND_FACTOR_REQUIRED or has_device(user)))
        user.second_factor_is_satisfied = known  # type: ignore[union-attr]
    return known


def verify_code(user: User, code: str, *, request: HttpRequest, now: datetime) -> Device:
    """Take a code for the login that `request` makes, and return its device.

    Raises CodeWrong, CodeTooSoon and LoginLocked. django-axes finds the last one in the request too, and answers it.
    """
    credentials = {"username": user.get_username()}
    if not AxesProxyHandler.is_allowed(request, credentials):
        request.axes_locked_out = True  # type: ignore[attr-defined]
        record_failure(credentials, request=request)  # which no signal tells
        raise LoginLocked
    try:
        return check_code(user, code, now=now)
    except CodeWrong:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        raise


def check_code(user: User, code: str, *, now: datetime) -> Device:
    """Return the device whose code it is, which is used up by that. Raises CodeWrong and CodeTooSoon."""
    code = SPACES.sub("", code).lower()
    kind, token = (AuthenticatorApp, code) if APP_CODE.fullmatch(code) else (StaticDevice, _hash(code))
    with transaction.atomic():  # whose end keeps the failure, too: raised is outside
        device: Any = kind.objects.select_for_update().filter(user=user, confirmed=True).first()
        is_allowed, why = device.verify_is_allowed() if device else (False, None)
        is_right = is_allowed and _verify(device, token)
    if why:
        raise CodeTooSoon(ceil((why["locked_until"] - now).total_seconds()))
    if not is_right:
        raise CodeWrong
    found: Device = device
    return found


def _verify(device: Any, token: str) -> bool:
    try:
        return bool(device.verify_token(token))
    except Undecryptable:
        log.error("key of an app unreadable", event_name="second_factor_unreadable", user_id=device.user_id)
        return False


def encrypt_anew() -> tuple[int, int]:
    """Encrypt by the secret of today what one of before encrypted, before that is taken away.

    Return how many were, and how many cannot be read any more: the second factor of these has to be reset.
    """
    renewed = unreadable = 0
    for device in AuthenticatorApp.objects.iterator():
        if device.is_sealed_anew:
            continue
        try:
            device.seal_anew()
        except Undecryptable:
            unreadable += 1
        else:
            renewed += 1
    return renewed, unreadable


def setup_url(user: User, key: str) -> str:
    """Return what an app reads from a QR code: the key (hex), and under which name it keeps it."""
    name = quote(f"{settings.OTP_TOTP_ISSUER}:{user.get_username()}")
    return f"otpauth://totp/{name}?{urlencode({'secret': secret_of(key), 'issuer': settings.OTP_TOTP_ISSUER})}"


def secret_of(key: str) -> str:
    """Return the key (hex) as people type it into an app."""
    return b32encode(bytes.fromhex(key)).decode()


@transaction.atomic
def enrol_device(user: User, *, key: str, code: str) -> tuple[AuthenticatorApp, list[str]]:
    """Keep the app that has the key (hex), in the place of any before, and return it with new codes for paper.

    Its first code shows that the app has the key; it is used up. Raises CodeWrong, also for a second press.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    known = find_device(user)
    if known and known.has_key(bytes.fromhex(key)):
        raise CodeWrong
    totp: Any = TOTP(bytes.fromhex(key))  # type: ignore[no-untyped-call]
    totp.time = time()
    code = SPACES.sub("", code)
    if not APP_CODE.fullmatch(code) or not totp.verify(int(code), tolerance=TOLERANCE):
        raise CodeWrong
    remove_devices(user)
    sealed = AuthenticatorApp.seal(bytes.fromhex(key), user_id=user.pk)
    device = AuthenticatorApp.objects.create(
        user=user, name="app", key=sealed, tolerance=TOLERANCE, drift=totp.drift, last_t=totp.t()
    )
    record_event(Kind.SECOND_FACTOR_ENROLLED, user=user)
    log.info("second factor enrolled", event_name="second_factor_enrolled", user_id=user.pk)
    return device, make_backup_codes(user)


@transaction.atomic
def replace_backup_codes(user: User) -> list[str]:
    """Return new codes for paper to somebody who has lost theirs, or has used them up."""
    record_event(Kind.CODES_MADE, user=user)
    return make_backup_codes(user)


@transaction.atomic
def make_backup_codes(user: User) -> list[str]:
    """Return new codes for paper, which are kept as hashes; those from before are void."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="paper")
    made = (b32encode(secrets.token_bytes(BACKUP_CODE_BYTES)) for _number in range(BACKUP_CODES))
    codes = [code.decode().rstrip("=").lower() for code in made]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_hash(code)) for code in codes)
    return codes


def _hash(code: str) -> str:
    """Return what is kept of a code on paper: as much of its hash as django-otp's column holds, which is 96 bits."""
    return b64encode(sha256(code.encode()).digest()[:12]).decode()


@transaction.atomic
def remove_devices(user: User) -> bool:
    """Remove the user's app and codes, and end all access that they have given; return whether there were any."""
    removed, _by_kind = AuthenticatorApp.objects.filter(user=user).delete()
    codes, _by_kind = StaticDevice.objects.filter(user=user).delete()
    if removed or codes:
        end_all_access(user)
    return bool(removed or codes)


@transaction.atomic
def remove_second_factor(user: User) -> None:
    """Remove one's own app and codes."""
    if remove_devices(user):
        record_event(Kind.SECOND_FACTOR_REMOVED, user=user)


@transaction.atomic
def reset_second_factor(user: User, *, actor: User | None) -> bool:
    """Remove the devices of somebody who has lost them; return whether there were any. No actor: operations."""
    removed = remove_devices(user)
    if removed:
        record_event(Kind.SECOND_FACTOR_RESET, user=user, actor=actor)
    actor_id = actor.pk if actor else None
    log.warning("second factor reset", event_name="second_factor_reset", user_id=user.pk, actor_id=actor_id)
    return removed
