"""Secrets made from the installation's own, so that none is stored: of webhooks, and of links without a login."""

from __future__ import annotations

import base64
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.utils.crypto import salted_hmac

from notifications.models import Webhook


class LinkExpired(Exception):
    """The link was right, and is too old; `id` is what it was for."""

    def __init__(self, id: int) -> None:
        self.id = id
        super().__init__(id)


class LinkInvalid(Exception):
    """The link was not made here, or has been changed on its way."""


def webhook_secret(webhook: Webhook) -> str:
    """Return the secret that is shared with the organisation's app, as Standard Webhooks write it."""
    return webhook_secrets(webhook)[0]


def webhook_secrets(webhook: Webhook) -> list[str]:
    """Return the secret of today, and those of before that the app may have still, while SECRET_KEY is changed."""
    value = f"{webhook.organisation_id}:{webhook.secret_version}"
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    made = (salted_hmac("nattevakt.webhook", value, secret=key, algorithm="sha256").digest() for key in keys)
    return [f"whsec_{base64.b64encode(secret).decode()}" for secret in made]


def sign_id(id: int, *, purpose: str) -> str:
    """Return a token for a link, which holds nothing but the id."""
    return _signer(purpose).sign(str(id))


def read_id(token: str, *, purpose: str) -> int:
    """Return the id of a link's token. Raises LinkExpired after LINK_DAYS, and LinkInvalid."""
    signer = _signer(purpose)
    try:
        id = int(signer.unsign(token))
        signer.unsign(token, max_age=timedelta(days=settings.LINK_DAYS))
    except SignatureExpired as error:
        raise LinkExpired(id) from error
    except (BadSignature, ValueError) as error:
        raise LinkInvalid from error
    return id


def _signer(purpose: str) -> TimestampSigner:
    return TimestampSigner(sep=".", salt=f"nattevakt.{purpose}")
