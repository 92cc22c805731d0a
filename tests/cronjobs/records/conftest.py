"""Exported files: a night of five items, its file, and edits of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs.models import Run
from cronjobs.records.digests import hash_row
from cronjobs.records.file_check import check_file
from mentors.models import Chapter, Organisation, User
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.nights import run_night

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
