"""An organisation's app, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conftest import TODAY
from tests.support.nights import noon
from tests.support.receiver import Receiver, http_receiver


@pytest.fixture
def app(settings: Any) -> Iterator[Receiver]:
    """An organisation's app, on this machine."""
    settings.WEBHOOK_PRIVATE_HOSTS = True
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def now() -> datetime:
    """An hour after the night, which these tests run at noon."""
    return noon(TODAY) + timedelta(hours=1)
