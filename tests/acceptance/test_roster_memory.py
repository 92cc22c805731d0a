"""A roster as large as none has been yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from certifications.models import CertificationType
from mentors.models import Chapter, Organisation
from tests.support.roster import import_one_and_many


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_two_hundred_thousand_lines_pass_in_steady_memory_and_show_progress(
    hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path
) -> None:
    created, more_memory, shown = import_one_and_many(tmp_path, 200_000)

    assert created == 200_000
    assert more_memory < 30  # MB; tests/certifications/roster/test_command.py does the same with a tenth of it
    assert "reading" in shown
    assert "writing" in shown
    assert "100 %" in shown
