"""What the database says of an exported file; and the command, with and without a database."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from cronjobs.models import Run, RunItem
from cronjobs.nightly import ALL_ACTIONS
from cronjobs.records.retention import prune
from cronjobs.records.verification import check_exported
from cronjobs.retry import retry_failed
from cronjobs.starting import execute_expiry_check
from mentors.models import Organisation, User
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.cronjobs.records.conftest import (
    Keep,
    Lines,
    faults,
    without,
)
from tests.support.nights import plan_night, work_night
from tests.support.processes import live_environment, running, wait_until

pytestmark = pytest.mark.django_db


def test_a_part_of_a_run_is_said_to_be_one(run: Run, keep: Keep, api: Api, kari: User) -> None:
    report = check_exported(keep(run, by=api(kari)))

    assert (report.faults, report.items) == ([], 4)
    assert report.notes == [
        "line 6: 4 of the run's 5 items, as far as who exported them sees them: a part cannot be compared with the seal"
    ]


def test_a_run_that_was_tried_again_since_has_another_seal(run: Run, keep: Keep, hlf: Organisation) -> None:
    path = keep(run)
    run.items.filter(action="pause").update(status=RunItem.Status.FAILED)
    work_night(retry_failed(run.pk, now=NOW), now=NOW)

    report = check_exported(path)

    assert (report.faults, report.notes) == (
        [],
        [f"line 8: run {run.pk} was sealed again, as it was tried again since"],
    )


def test_a_run_that_was_pruned_since_is_proved_by_its_file(run: Run, keep: Keep) -> None:
    path = keep(run)
    prune(now=NOW + timedelta(days=366 * 6))

    report = check_exported(path)

    assert (report.faults, report.notes) == ([], [f"line 8: run {run.pk} was pruned since"])


def test_what_another_database_sealed_is_not_known_here(run: Run, keep: Keep) -> None:
    def elsewhere(lines: Lines) -> Lines:
        return [line.replace(str(run.pk), "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11") for line in lines]

    assert "line 8: this database has no seal of run 5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11" in (
        check_exported(keep(run, edit=elsewhere)).notes
    )


def test_an_open_run_has_no_seal_yet(hlf: Organisation, keep: Keep, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(), expires_in=-1)
    run = plan_night(hlf, TODAY, now=NOW)

    report = check_exported(keep(run))

    assert (report.faults, report.notes) == ([], [f"line 3: run {run.pk} was not sealed when the file was written"])


def test_a_dry_run_is_a_file_in_order(hlf: Organisation, keep: Keep, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(), expires_in=-1)
    run = execute_expiry_check(organisation=hlf, dry_run=True, actions=ALL_ACTIONS, now=NOW)

    report = check_exported(keep(run, "json"))

    assert (report.faults, report.items) == ([], 1)


# The command.


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_records", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_checks_files(run: Run, keep: Keep) -> None:
    path = keep(run)

    assert verify(str(path)) == f"{path}: 1 run with 5 items, in order\n"
    document = json.loads(verify(str(path), "--format", "json"))
    assert (document["agrees"], document["checked"][0]["items"]) == (True, 5)


def test_the_command_says_what_was_done_to_a_file(run: Run, keep: Keep) -> None:
    path = keep(run, edit=without(9, 9))
    out = StringIO()

    with pytest.raises(CommandError, match="1 thing does not agree"):
        call_command("verify_records", str(path), stdout=out)

    assert out.getvalue().splitlines()[1] == "  the file is cut off at its end: its last row is missing"


def test_a_file_that_is_not_there_is_one_clear_line(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nothing\.csv cannot be read: No such file"):
        verify(str(tmp_path / "nothing.csv"))


@pytest.mark.parametrize("content", ["", "a,b\nc,d\n", "[]", "[1]", "\x00", "\ud7ff,,\n", '[\n{"row":1}\n]\n'])
def test_any_other_file_is_not_in_order_and_never_an_error(db: None, tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)

    assert faults(path)


@pytest.mark.processes
def test_a_file_is_checked_without_a_database(run: Run, keep: Keep) -> None:
    env = live_environment() | {"DATABASE_URL": "postgres://x:x@127.0.0.1:1/x"}

    with running("python", "manage.py", "verify_records", str(keep(run)), env=env) as process:
        wait_until(lambda: process.has_ended, what="its end")
        assert process.popen.returncode == 0, process.output
        assert "1 run with 5 items, in order" in process.output
        assert "(the database does not answer: the seals were compared with the file only)" in process.output
