"""Lines of a roster, and what an import made of them."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

from django.apps import apps

from certifications.roster import ImportReport
from certifications.roster_file import COLUMNS
from tests.support.processes import PROJECT, live_environment

HEADER = ",".join(COLUMNS)
LIV = "Oslo,M1,Liv Moe,liv@example.org,+4712345678,nn,likepersonkurs,C1,2026-01-01,2027-01-01"
EVENTS = ("mentors.MentorEvent", "certifications.CertificationEvent")
Import = Callable[..., ImportReport]


def line(**changes: str) -> str:
    """Liv's line with other cells: `line(mentor_ref="M2")`."""
    return ",".join((dict(zip(COLUMNS, LIV.split(","), strict=True)) | changes).values())


def verdicts(report: ImportReport) -> list[str]:
    return [line.verdict for line in report.lines]


def the_error(report: ImportReport) -> tuple[str, str]:
    (error,) = [line for line in report.lines if line.verdict == "error"]
    return error.column, error.message


def count_events() -> list[int]:
    return [apps.get_model(event).objects.count() for event in EVENTS]


def import_in_a_process(file: Path, output: Path) -> tuple[int, str]:
    """Run the command with a terminal for standard error; return its peak memory in MB and what the terminal got."""
    terminal, its_end = pty.openpty()
    command = [sys.executable, "manage.py", "import_roster", str(file), "--organisation", "hlf", "--format", "json"]
    with output.open("wb") as stdout:
        process = Popen(
            command,
            cwd=PROJECT,
            env=live_environment(TERM="xterm", COLUMNS="80"),
            stdin=DEVNULL,
            stdout=stdout,
            stderr=its_end,
        )
    os.close(its_end)
    shown = b""
    with suppress(OSError):  # the terminal's other end was closed
        while seen := os.read(terminal, 65_536):
            shown += seen
    os.close(terminal)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, shown
    return usage.ru_maxrss // 1024, shown.decode()


def import_one_and_many(folder: Path, many: int) -> tuple[int, int, str]:
    """Import one line, and then so many, each in a process of its own.

    Return how many were created, how many MB the second needed more than the first, and what its terminal got.
    """
    one_file, many_file, output = folder / "one.csv", folder / "many.csv", folder / "many.json"
    one_file.write_text(f"{HEADER}\n{LIV}\n")
    with many_file.open("w") as file:
        file.write(HEADER + "\n")
        file.writelines(line(mentor_ref=f"B{n // 2}", number=f"N{n}") + "\n" for n in range(many))

    base, _shown = import_in_a_process(one_file, folder / "one.json")
    peak, shown = import_in_a_process(many_file, output)
    created: int = json.loads(output.read_text())["created"]
    return created, peak - base, shown
