"""The command import_roster."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from certifications.models import CertificationType
from mentors.models import Chapter, Organisation
from tests.support.roster import LIV, Import, import_one_and_many, line


def test_the_command_names_wrong_lines_and_counts_then_fails_with_one_line(roster: Import, tmp_path: Path) -> None:
    roster(LIV, line(mentor_ref="M2", email="x"))
    out = StringIO()

    with pytest.raises(CommandError, match="Nothing was imported: 1 of 2 lines have errors") as failed:
        call_command("import_roster", str(tmp_path / "roster.csv"), "--organisation", "hlf", stdout=out)

    assert failed.value.returncode == 1
    assert out.getvalue().splitlines() == [
        "line 3: error: email: invalid e-mail",
        "Nothing was written. An import would give: 1 created, 0 updated, 0 unchanged, 1 with errors.",
    ]


def test_the_command_skips_errors_on_request_and_shows_every_line_with_v_2(roster: Import, tmp_path: Path) -> None:
    roster(LIV, line(mentor_ref="M2", email="x"))
    out = StringIO()

    call_command(
        "import_roster", str(tmp_path / "roster.csv"), "--organisation", "hlf", "--skip-errors", "-v", "2", stdout=out
    )

    assert out.getvalue().splitlines() == [
        "line 2: created",
        "line 3: error: email: invalid e-mail",
        "Imported: 1 created, 0 updated, 0 unchanged, 1 with errors.",
    ]


def test_the_command_names_the_organisations_there_are(roster: Import) -> None:
    with pytest.raises(CommandError, match=r"There is no organisation “hl”. There are: hlf."):
        call_command("import_roster", "roster.csv", "--organisation", "hl")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"HOST": "127.0.0.1", "PORT": 1, "PASSWORD": "secret"}, "No database answers"),
        ({"NAME": "postgres"}, "run manage.py migrate"),
    ],
    ids=["not there", "not prepared"],
)
def test_a_database_that_is_not_there_or_not_prepared_is_told_in_one_line(
    place: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    connection.close()

    with pytest.raises(CommandError, match=message) as failed:
        call_command("import_roster", "roster.csv", "--organisation", "hlf")

    connection.close()
    assert failed.value.returncode == 1
    assert "\n" not in str(failed.value)
    assert "secret" not in str(failed.value)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_twenty_thousand_lines_pass_in_steady_memory_and_show_progress(
    hlf: Organisation, oslo: Chapter, course: CertificationType, tmp_path: Path
) -> None:
    created, more_memory, shown = import_one_and_many(tmp_path, 20_000)

    assert created == 20_000
    assert more_memory < 4  # MB; measured: 0, and 8 with the lines held in a list
    assert "reading" in shown
    assert "writing" in shown
    assert "100 %" in shown
