"""Secrets that the service has to read again stand in the database only encrypted.

AES-GCM, under a key that comes from SECRET_KEY by HKDF and so is never in the database. What is encrypted is bound to
what it belongs to: it cannot be copied to another row. SECRET_KEY_FALLBACKS still decrypt; `is_current` says what
should be encrypted anew before they are taken away.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_BYTES = 12


class Undecryptable(Exception):
    """It was encrypted by another secret than those of today, belongs elsewhere, or was changed."""


def encrypt(plain: bytes, *, bound_to: str) -> str:
    """Return it encrypted, as text: 28 bytes more than there were, in base64."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _cipher(settings.SECRET_KEY).encrypt(nonce, plain, bound_to.encode())
    return b64encode(nonce + sealed).decode()


def decrypt(text: str, *, bound_to: str) -> bytes:
    """Return what was encrypted. Raises Undecryptable."""
    for _secret, plain in _decrypt(text, bound_to):
        return plain
    raise Undecryptable


def is_current(text: str, *, bound_to: str) -> bool:
    """Say whether SECRET_KEY itself decrypts it, and none of before is needed."""
    return any(secret == settings.SECRET_KEY for secret, _plain in _decrypt(text, bound_to))


def _decrypt(text: str, bound_to: str) -> Iterator[tuple[str, bytes]]:
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            yield secret, _cipher(secret).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError):  # of another secret; too short to be anything
            continue


@cache
def _cipher(secret: str) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"nattevakt.encryption")
    return AESGCM(derive.derive(secret.encode()))
