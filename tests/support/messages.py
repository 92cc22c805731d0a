"""Samples of every message, and what can be read of a letter."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from mentors.models import Mentor
from notifications.messages.context import Message, NotificationEvent
from notifications.messages.samples import OSLO, sample_messages
from notifications.models import Notification
from tests.conftest import TODAY

Kind = Notification.Kind
LANGUAGES = ("nb", "nn", "en")
MESSAGES = {(slug, language): message for language in LANGUAGES for slug, message in sample_messages(language, TODAY)}
EVERY_MESSAGE = pytest.mark.parametrize(("slug", "language"), MESSAGES)

TAGS = re.compile(r"<[^>]*>")
URL = re.compile(r"https?://\S+")


def sample(slug: str, language: str = "en") -> Message:
    """Return a sample of its own, to be changed."""
    return dict(sample_messages(language, TODAY))[slug]


def reminder(expires_in: int, *, name: str = "Kurs", pk: int = 1) -> dict[str, Any]:
    return {
        "kind": "remind", "types": name.lower(), "names": [name], "certification_id": pk,
        "expires_on": str(TODAY + timedelta(days=expires_in)), "stage": 30,
    }  # fmt: skip


def happened(facts: dict[str, Any], *, name: str = "Liv Moe", pk: int = 1, **fields: Any) -> NotificationEvent:
    mentor = Mentor(
        **{"pk": pk, "name": name, "ref": f"M{pk}", "chapter": OSLO, "organisation": OSLO.organisation, **fields}
    )
    return NotificationEvent(kind=Kind(facts["kind"]), mentor=mentor, facts=facts)
