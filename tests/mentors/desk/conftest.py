"""Kari with a password, and her browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from time_machine import Traveller

from mentors.accounts.second_factor import enrol_device
from mentors.models import User
from tests.conftest import NOW
from tests.support.second_factor import KEY, PASSWORD, code_of


@pytest.fixture
def clock(clock: Traveller) -> Traveller:
    """It is noon in Oslo until a test moves the clock: a code is good for half a minute, however slow the machine."""
    clock.move_to(NOW, tick=False)
    return clock


@pytest.fixture
def berit(kari: User) -> User:
    """Kari, with a password."""
    kari.set_password(PASSWORD)
    kari.save()
    return kari


@pytest.fixture
def paper(clock: Any, berit: User) -> list[str]:
    """Codes on paper; the app was set up a minute ago."""
    _device, codes = enrol_device(berit, key=KEY, code=code_of(KEY))
    clock.shift(60)
    return codes


@pytest.fixture
def browser() -> Client:
    return Client(headers={"accept-language": "en"})
