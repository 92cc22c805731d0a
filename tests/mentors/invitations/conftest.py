"""A public address, a real mail server, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from time_machine import Traveller

from tests.conftest import NOW
from tests.support.mail import MailServer, mail_server


@pytest.fixture
def clock(clock: Traveller) -> Traveller:
    """It is noon in Oslo until a test moves the clock: a link is good to the second."""
    clock.move_to(NOW, tick=False)
    return clock


@pytest.fixture(autouse=True)
def _set_up(settings: Any) -> None:
    settings.PUBLIC_URL = "https://nattevakt.example.org"


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 30
        yield server


@pytest.fixture
def browser() -> Client:
    return Client(headers={"accept-language": "en"})
