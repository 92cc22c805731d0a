"""A roster at the desk."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from certifications.models import CertificationType
from mentors.models import Chapter, Organisation, User
from tests.conftest import Desk
from tests.support.roster_desk import Upload, the_file


@pytest.fixture
def browser(desk: Desk, olav: User, oslo: Chapter, course: CertificationType) -> Client:
    """The browser of the organisation-wide coordinator."""
    return desk(olav)


@pytest.fixture
def upload(browser: Client, hlf: Organisation) -> Upload:
    """Upload lines below the header, or bytes as they are: `upload(LIV, skip_errors="on")`."""

    def upload(*lines: str, raw: bytes | None = None, name: str = "roster.csv", **options: Any) -> Any:
        data = {"organisation": hlf.pk, "import_file": the_file(*lines, raw=raw, name=name)} | options
        return browser.post(reverse("admin:certifications_rosterupload_import"), data)

    return upload
