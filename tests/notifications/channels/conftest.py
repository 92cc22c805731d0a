"""A gateway on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.receiver import Receiver, http_receiver


@pytest.fixture
def gateway(settings: Any) -> Iterator[Receiver]:
    """A gateway on this machine, for SMS and chat alike."""
    with http_receiver() as receiver:
        settings.SMS_URL = f"json://user:secret@127.0.0.1:{receiver.port}/sms/{{to}}"
        settings.CHAT_URL = f"json://127.0.0.1:{receiver.port}/chat/{{to}}?-token=secret"
        yield receiver
