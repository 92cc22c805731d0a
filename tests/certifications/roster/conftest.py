"""A roster to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from certifications.models import CertificationType
from certifications.roster import ImportReport, import_roster
from mentors.models import Chapter, Organisation
from tests.conftest import NOW
from tests.support.roster import HEADER, Import


@pytest.fixture
def roster(hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path) -> Import:
    """Import lines below the header, or bytes as they are: `roster(LIV)`, `roster(raw=b"…", skip_errors=True)`."""

    def roster(*lines: str, raw: bytes | None = None, **options: Any) -> ImportReport:
        file = tmp_path / "roster.csv"
        file.write_bytes("\n".join([HEADER, *lines]).encode() if raw is None else raw)
        return import_roster(file, organisation=hlf, now=NOW, **options)

    return roster
