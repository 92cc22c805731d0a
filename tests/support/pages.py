"""Reading the pages behind the links in messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.urls import reverse

from mentors.models import Mentor, User
from notifications.links import PREFERENCE
from notifications.models import Answer, Notification, Preference
from notifications.signing import sign_id

RENEWING, STOPPING, HELP = Answer.Choice.RENEWING, Answer.Choice.STOPPING, Answer.Choice.HELP

# What only a browser of somebody who reads English sends; the pages follow the reader, not the browser.
BROWSER = {"Accept-Language": "en"}
Path = Callable[..., str]


def preference_path(user: User) -> str:
    return reverse("preference", args=[sign_id(user.pk, purpose=PREFERENCE)])


def everything() -> list[Any]:
    """Return all that a page could change."""
    return [list(model.objects.order_by("pk").values()) for model in (Answer, Preference, Notification, Mentor)]


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", response.content.decode(), flags=re.DOTALL))


def heading(response: Any) -> str:
    [found] = re.findall(r"<h1>(.*?)</h1>", response.content.decode())
    return str(found)
