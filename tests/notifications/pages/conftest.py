"""A browser without a login, and a reminder to a mentor who reads English."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from time_machine import Traveller

from mentors.models import Mentor
from notifications.links import links_of
from notifications.models import Answer, Notification
from tests.conftest import NOW
from tests.support.pages import BROWSER, Path


@pytest.fixture
def clock(clock: Traveller) -> Traveller:
    """It is noon in Oslo until a test moves the clock: an answer is kept with its time."""
    clock.move_to(NOW, tick=False)
    return clock


@pytest.fixture(autouse=True)
def public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://nattevakt.example"


@pytest.fixture
def client() -> Client:
    """A browser that holds nothing back: a form without a CSRF token would be refused."""
    return Client(enforce_csrf_checks=True, headers=BROWSER)


@pytest.fixture
def mentor(mentor: Mentor) -> Mentor:
    mentor.language = "en"
    mentor.save()
    return mentor


@pytest.fixture
def to(reminder: Notification) -> Path:
    """Return the path of a link in the reminder: `to()`, or `to(HELP)`."""
    links = links_of(reminder)

    def path(choice: Answer.Choice | None = None) -> str:
        return urlsplit(links.answers[choice] if choice else links.answer).path

    return path
