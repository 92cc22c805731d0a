"""Who asks the API about certifications."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from mentors.models import User
from tests.conftest import Api


@pytest.fixture
def client(api: Api, kari: User) -> APIClient:
    """The coordinator of Oslo, at the API."""
    return api(kari)
