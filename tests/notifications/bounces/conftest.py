"""A message that has left, and comes back."""

from __future__ import annotations

from datetime import datetime

import pytest

from mentors.models import Mentor, Organisation
from notifications.models import Notification
from tests.support.bounces import write_message


@pytest.fixture
def sent(hlf: Organisation, mentor: Mentor, now: datetime) -> Notification:
    """A message to Liv that has left."""
    return write_message(hlf, now, recipient_mentor=mentor, about=mentor)
