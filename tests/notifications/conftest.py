"""What most tests of messages begin with."""

from __future__ import annotations

from datetime import time

import pytest

from certifications.models import Certification
from mentors.models import Mentor, Organisation, User
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import run_night


@pytest.fixture
def always_open(hlf: Organisation) -> Organisation:
    """HLF, whose messages leave at any hour."""
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()
    return hlf


@pytest.fixture
def held(mentor: Mentor, certify: Certify) -> Certification:
    """Of which the mentor is reminded this night."""
    return certify(mentor, expires_in=14)


@pytest.fixture
def reminder(hlf: Organisation, mentor: Mentor, held: Certification, kari: User) -> Notification:
    """Return what the night wrote to the mentor."""
    run_night(hlf, TODAY, now=NOW)
    return Notification.objects.get(recipient_mentor=mentor)
