"""An exported file proves itself: what was done to it since is found, by the line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from cronjobs.api.serializers import ITEM_FIELDS
from cronjobs.evidence import COLUMNS, ITEM_FACTS, digest_seal, hash_row
from cronjobs.evidence_file import check_file, read_rows
from cronjobs.models import Run, RunItem, Seal
from cronjobs.nightly import ALL_ACTIONS
from cronjobs.records import prune
from cronjobs.retry import retry_failed
from cronjobs.schedule import execute_expiry_check
from cronjobs.verification import check_exported
from mentors.cells import guard, unguard
from mentors.models import Chapter, Organisation, User
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.nights import plan_night, run_night, work_night
from tests.support.processes import live_environment, running, wait_until

pytestmark = pytest.mark.django_db
TOMORROW = TODAY + timedelta(days=1)

Lines = list[str]
Edit = Callable[[Lines], Lines]
Keep = Callable[..., Path]


@pytest.fixture
def client(api: Api, auditor: User) -> APIClient:
    """The auditor's: who may only read may take the evidence along."""
    return api(auditor)


@pytest.fixture
def run(hlf: Organisation, enrol: Enrol, certify: Certify, bergen: Chapter) -> Run:
    """A night of five items: of four mentors of Oslo, and of one of Bergen with a name that is hard to write down."""
    for days in (-1, -2, 7, 30):
        certify(enrol(), expires_in=days)
    certify(enrol(name="=O'Brien, \"B\"\r\n'-Æ", chapter=bergen), expires_in=14)
    return run_night(hlf, TODAY, now=NOW)


@pytest.fixture
def keep(client: APIClient, tmp_path: Path) -> Keep:
    """Export to a file, edited if need be: `keep(run)`, `keep(run, "json", edit)`."""

    def keep(run: Run | None, format: str = "csv", edit: Edit | None = None, *, by: APIClient = client) -> Path:
        address = f"/api/v1/runs/{run.pk}/export" if run else "/api/v1/runs/export"
        text = content_of(by.get(address, {"format": format}))
        path = tmp_path / f"file.{format}"
        path.write_bytes(("".join(edit(text.splitlines(keepends=True))) if edit else text).encode())
        return path

    return keep


def content_of(answer: Any) -> str:
    assert answer.status_code == 200
    text: str = b"".join(answer.streaming_content).decode()
    return text


def faults(path: Path) -> list[str]:
    return check_file(path)[0].faults


# As it was written.


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_file_is_in_order_as_it_was_written(run: Run, keep: Keep, format: str) -> None:
    report = check_exported(keep(run, format))

    assert (report.faults, report.notes, report.runs, report.items) == ([], [], 1, 5)


def test_csv_and_json_have_the_same_hashes(run: Run, keep: Keep) -> None:
    hashes = [[row["hash"] for _line, row in read_rows(keep(run, format)) if row] for format in ("csv", "json")]

    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 7


def test_the_record_closes_the_items_and_the_end_closes_the_file(run: Run, keep: Keep) -> None:
    *_items, of_run, end = json.loads(keep(run, "json").read_text())
    seal = Seal.objects.get()

    assert of_run["record"]["rows"] == 5
    assert of_run["record"]["is_part"] is False
    assert of_run["record"]["facts"]["counts"] == run.counts
    assert of_run["record"]["seal"] == of_run["record"]["seal"] | {"number": "1", "previous": "", "digest": seal.digest}
    assert (end["row"], end["record"]) == (7, {"runs": 1, "items": 5})


def test_every_fact_of_an_item_and_every_field_of_the_api_is_in_the_file() -> None:
    assert {*ITEM_FACTS, *ITEM_FIELDS} <= set(COLUMNS)


@pytest.mark.parametrize(
    "text", ["", "a", "'", "''", "'a", "=1", "'=1", "''=1", "+47", "-", "@x", "\t", "\r=", "'\t", "a=1", "O'Brien"]
)
def test_the_guard_against_formulas_is_undone_to_the_byte(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_an_empty_night_has_its_record_too(hlf: Organisation, keep: Keep) -> None:
    report = check_exported(keep(run_night(hlf, TODAY)))

    assert (report.faults, report.runs, report.items) == ([], 1, 0)


# What was done to it.


def edited(line: int, old: str, new: str) -> Edit:
    """Replace in the line of this number."""

    def edit(lines: Lines) -> Lines:
        assert old in lines[line - 1]
        return [*lines[: line - 1], lines[line - 1].replace(old, new, 1), *lines[line:]]

    return edit


def without(first: int, last: int) -> Edit:
    return lambda lines: lines[: first - 1] + lines[last:]


def with_line_again(line: int, *, before: int) -> Edit:
    return lambda lines: [*lines[: before - 1], lines[line - 1], *lines[before - 1 :]]


def moved(line: int, *, to: int) -> Edit:
    def edit(lines: Lines) -> Lines:
        rest = lines[: line - 1] + lines[line:]
        return [*rest[: to - 1], lines[line - 1], *rest[to - 1 :]]

    return edit


def put_in(line: int, **values: str) -> Edit:
    """Put in a row of somebody's own, numbered as the one whose place it takes."""

    def edit(lines: Lines) -> Lines:
        header, *rows = csv.reader(lines)
        cells = dict(zip(header, rows[line - 2], strict=True)) | values
        out = io.StringIO(newline="")
        csv.writer(out).writerow(cells.values())
        return [*lines[: line - 1], out.getvalue(), *lines[line - 1 :]]

    return edit


NOT_SEALED = "the run and its items are not what seal 1 was made of"


# Lines 2 to 5 are mentors of Oslo; the one of Bergen has two lines, 6 and 7; then the run, and the end.
@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (edited(3, "paused", "nothing"), ["line 3: was changed", f"line 8: {NOT_SEALED}"]),
        (edited(7, "Æ", "Ø"), ["line 6: was changed"]),
        (edited(3, "Mentor", "mentor"), ["line 3: was changed"]),
        (edited(8, "succeeded", "partial"), ["line 8: was changed"]),
        (edited(9, '""items"":5', '""items"":4'), ["line 9: was changed"]),
        (without(3, 3), [f"line 7: {NOT_SEALED}", "line 3: row 2 is missing"]),
        (without(2, 4), [f"line 5: {NOT_SEALED}", "line 2: rows 1 to 3 are missing"]),
        (without(9, 9), ["the file is cut off at its end: its last row is missing"]),
        (without(4, 9), ["the file is cut off at its end: its last row is missing"]),
        (without(2, 9), ["the file is cut off at its end: its last row is missing"]),
        (with_line_again(3, before=5), ["line 5: was put in"]),
        (moved(3, to=5), [f"line 8: {NOT_SEALED}", "line 5: row 2 was moved here"]),
        (moved(5, to=2), [f"line 8: {NOT_SEALED}"] + [f"line {n}: row {n - 2} was moved here" for n in (3, 4, 5)]),
        (put_in(4, outcome="mine"), ["line 4: was put in", f"line 9: {NOT_SEALED}"]),
        (lambda lines: [*lines, lines[2]], ["line 10: stands behind the end of the file"]),
        (lambda lines: [*lines[:2], "x,y\r\n", *lines[2:]], ["line 3: cannot be read"]),
    ],
)  # fmt: skip
def test_what_was_done_to_a_file_is_found_by_its_line(run: Run, keep: Keep, edit: Edit, found: list[str]) -> None:
    assert sorted(faults(keep(run, edit=edit))) == sorted(found)


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (edited(3, "paused", "nothing"), ["line 3: was changed", f"line 7: {NOT_SEALED}"]),
        (edited(3, '"row":2', '"row":9'), ["line 3: was changed"]),
        (edited(3, '"row":2', '"row":"x"'), ["line 3: was changed"]),
        (edited(3, '"outcome"', '"outcome'), ["line 3: cannot be read", "line 4: row 2 is missing"]),
        (edited(7, '"facts":', '"fact":'), ["line 7: was changed", "line 7: has no record of its run"]),
        (
            edited(7, '"items":"5"', '"items":"4"'),
            ["line 7: was changed", "line 7: the seal is not what its digest says"],
        ),
        (without(8, 9), ["the file is cut off at its end: its last row is missing"]),
    ],
)
def test_json_as_well(run: Run, keep: Keep, edit: Edit, found: list[str]) -> None:
    assert [fault for fault in faults(keep(run, "json", edit)) if fault in found] == found


def rewritten(change: Callable[[dict[str, Any]], None]) -> Edit:
    """Change rows and compute every hash anew, as somebody would who knows how."""

    def edit(lines: Lines) -> Lines:
        rows, previous = json.loads("".join(lines)), ""
        for row in rows:
            change(row)
            hashed = row | {"at": row["at"].replace("Z", "+00:00")} if row.get("at") else row
            row["hash"] = previous = hash_row(previous, hashed)
        return ["[\n", ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "\n]\n"]

    return edit


def test_a_file_whose_hashes_were_all_rewritten_does_not_fit_its_seal(run: Run, keep: Keep) -> None:
    def forge(row: dict[str, Any]) -> None:
        if row["action"] == "pause":
            row["outcome"] = "nothing"

    assert faults(keep(run, "json", rewritten(lambda _row: None))) == []
    assert faults(keep(run, "json", rewritten(forge))) == [f"line 7: {NOT_SEALED}"]


def test_a_seal_of_ones_own_is_not_in_the_chain(run: Run, keep: Keep, hlf: Organisation) -> None:
    def forge_seal(row: dict[str, Any]) -> None:
        if row["action"] == "run":
            seal = row["record"]["seal"]
            seal["previous"] = "0" * 64
            seal["digest"] = digest_seal(seal["previous"], seal)

    path = keep(run, "json", rewritten(forge_seal))

    assert faults(path) == []
    assert check_exported(path).faults == [f"line 7: the seal of run {run.pk} is not in the chain of this database"]


# What the database says of it.


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


# Many runs in one file.


def runs_in(answer: Any) -> list[str]:
    return [row["run"] for row in json.loads(content_of(answer)) if row["action"] == "run"]


def test_the_runs_of_a_time_are_one_file(
    client: APIClient, run: Run, keep: Keep, hlf: Organisation, elsewhere: Chapter
) -> None:
    nights = [run, *(run_night(hlf, TODAY + timedelta(days=days)) for days in (1, 2, 3))]
    run_night(elsewhere.organisation, TODAY)
    execute_expiry_check(organisation=hlf, dry_run=True, now=NOW)
    address = "/api/v1/runs/export"

    whole = client.get(address, {"format": "json"})
    some = client.get(
        address,
        {
            "format": "json",
            "business_date_from": str(TOMORROW),
            "business_date_to": str(TOMORROW),
            "organisation": "hlf",
        },
    )

    assert whole["Content-Disposition"] == 'attachment; filename="runs-2026-11-21.json"'
    assert runs_in(whole) == [str(night.pk) for night in nights]
    assert runs_in(some) == [str(nights[1].pk)]
    assert runs_in(client.get(address, {"format": "json", "organisation": "other"})) == []
    report = check_exported(keep(None))
    assert (report.faults, report.notes, report.runs) == ([], [], 4)


def test_a_chapters_coordinator_gets_of_it_what_is_hers(run: Run, keep: Keep, api: Api, kari: User) -> None:
    path = keep(None, by=api(kari))

    assert "Brien" not in path.read_text()
    assert (check_file(path)[0].faults, check_file(path)[0].items) == ([], 4)


@pytest.mark.parametrize("query", [{"format": "xlsx"}, {"status": "green"}, {"page": "1"}, {"from": "2026-11-21"}])
def test_what_there_is_not_is_400(client: APIClient, run: Run, query: dict[str, str]) -> None:
    answer = client.get("/api/v1/runs/export", query)

    assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, list(query))


def test_without_a_token_it_is_401(api: Api, run: Run) -> None:
    assert api().get("/api/v1/runs/export").status_code == 401


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
