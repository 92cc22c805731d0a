"""An empty queue before, and nobody left behind after, each fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.support.breaking import other_backends, terminate
from tests.support.processes import (
    empty_broker,
)


@pytest.fixture(autouse=True)
def clean_house(transactional_db: None, settings: Settings) -> Iterator[None]:
    """Begin with an empty queue, and leave no connection behind that would block the cleaning of the tables."""
    empty_broker()
    settings.NIGHTLY_MAX_SUBTASKS = 30
    yield
    terminate(other_backends())
    empty_broker()
