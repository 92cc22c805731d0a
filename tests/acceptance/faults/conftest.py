"""What each fault has in common."""

from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def batches_of_several(settings: Settings) -> None:
    """Let even a small crowd be worked in batches."""
    settings.NIGHTLY_MAX_SUBTASKS = 30
