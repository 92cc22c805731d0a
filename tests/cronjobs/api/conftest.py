"""Who asks the API about schedules and runs, and about whom."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from mentors.models import Mentor, User
from tests.conftest import Api, Certify


@pytest.fixture
def client(api: Api, olav: User) -> APIClient:
    """The organisation-wide coordinator, at the API."""
    return api(olav)


@pytest.fixture
def expired(mentor: Mentor, certify: Certify) -> Mentor:
    """A mentor for whom there is something to do."""
    certify(mentor, expires_in=-1)
    return mentor
