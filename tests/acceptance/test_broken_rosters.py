"""Broken rosters at the desk: each is answered, whatever was done to it, and costs little."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse

from certifications import roster_uploads
from certifications.models import CertificationType
from certifications.roster_errors import FileCode
from mentors.models import Chapter, Organisation, User
from tests.conftest import Desk
from tests.support.broken_rosters import broken_roster
from tests.support.roster_desk import the_file

pytestmark = pytest.mark.django_db

# `ROSTERS=5000 make test-campaigns PYTEST="-k broken_rosters"` for more.
ROSTERS = int(os.environ.get("ROSTERS", "100"))
AT_ONCE = 25
CHEAP = replace(roster_uploads.LIMITS, seconds=900)  # of CPU they have no more, however slow the machine is


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=pytest.mark.canary if not first else ()) for first in range(0, ROSTERS, AT_ONCE)],
)
def test_a_broken_roster_is_read_or_refused_and_costs_little(
    desk: Desk, olav: User, hlf: Organisation, oslo: Chapter, course: CertificationType, first: int
) -> None:
    browser = desk(olav)
    browser.raise_request_exception = False

    with patch.object(roster_uploads, "LIMITS", CHEAP):
        answers = {seed: upload(browser, seed, hlf) for seed in range(first, first + AT_ONCE)}

    statuses = {seed: answer.status_code for seed, answer in answers.items()}
    assert set(statuses.values()) <= {200, 422}, statuses
    too_costly = str(FileCode.TOO_COSTLY.label).partition("%(file)s")[2]
    assert not [seed for seed, answer in answers.items() if too_costly in answer.content.decode()]


def upload(browser: Client, seed: int, organisation: Organisation) -> Any:
    name, content = broken_roster(seed)
    data = {"import_file": the_file(raw=content, name=name), "organisation": organisation.pk}
    return browser.post(reverse("admin:certifications_rosterupload_import"), data)
