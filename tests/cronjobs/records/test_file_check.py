"""An exported file proves itself: what was done to it since is found, by the line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cronjobs.ledger_rows import ITEM_FIELDS
from cronjobs.models import Run, Seal
from cronjobs.records.digests import COLUMNS, ITEM_FACTS, digest_seal
from cronjobs.records.file_check import read_rows
from cronjobs.records.verification import check_exported
from mentors.models import Organisation
from mentors.spreadsheets import guard, unguard
from tests.conftest import TODAY
from tests.cronjobs.records.conftest import (
    Edit,
    Keep,
    edited,
    faults,
    moved,
    put_in,
    rewritten,
    with_line_again,
    without,
)
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


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
    "text",
    [
        "",
        "a",
        "'",
        "''",
        "'a",
        "=1",
        "'=1",
        "''=1",
        "+47",
        "-",
        "@x",
        "\t",
        "\r=",
        "'\t",
        "a=1",
        "O'Brien",
        "a;=1",
        '["a","-b"]',
    ],
)
def test_the_guard_against_formulas_is_undone_to_the_byte(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(("=", "+", "-", "@"))


def test_an_empty_night_has_its_record_too(hlf: Organisation, keep: Keep) -> None:
    report = check_exported(keep(run_night(hlf, TODAY)))

    assert (report.faults, report.runs, report.items) == ([], 1, 0)


# What was done to it.


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
