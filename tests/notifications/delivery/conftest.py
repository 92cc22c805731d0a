"""Messages that wait, an hour after the night, and a real mail server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from mentors.models import Organisation
from notifications.channels import EMAIL
from notifications.models import Notification
from tests.conftest import TODAY, Enrol
from tests.support.delivery import Write
from tests.support.mail import MailServer, mail_server
from tests.support.nights import noon


@pytest.fixture
def now() -> datetime:
    """An hour after the night, which these tests run at noon."""
    return noon(TODAY) + timedelta(hours=1)


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    """A real mail server. Where it does not answer, a test must shorten `settings.EMAIL_TIMEOUT`."""
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 30
        yield server


@pytest.fixture
def write(always_open: Organisation, enrol: Enrol, now: datetime) -> Write:
    """Queue a message to a new mentor, who was resumed and so is told the truth: `write(email="liv@example.org")`."""

    def write(**fields: Any) -> Notification:
        mentor = enrol(**fields)
        return Notification.objects.create(
            dedupe_key=f"test:{mentor.pk}",
            organisation=always_open,
            kind="night",
            channel=EMAIL,
            recipient_mentor=mentor,
            about=mentor,
            language="nb",
            context={"events": [{"kind": "resume", "key": f"test:{mentor.pk}"}]},
            next_attempt_at=now,
            created_at=now,
        )

    return write
