"""Lines of a roster, and what an import made of them."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

from django.apps import apps

from certifications.roster import ImportReport
from certifications.roster_reader import COLUMNS
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


def notes(report: ImportReport) -> list[tuple[int, str, str]]:
    """What there is to say of lines: the line, its column, and the sentence."""
    return [(line.line, line.column, line.message) for line in report.lines if line.code]


def the_error(report: ImportReport) -> tuple[str, str]:
    (error,) = [line for line in report.lines if line.verdict == "error"]
    return error.column, error.message


def count_events() -> list[int]:
    return [apps.get_model(event).objects.count() for event in EVENTS]


# What the kernel counts for a child (ru_maxrss) begins with what its parent needed: this asks for the process alone.
WITH_ITS_PEAK = """
import atexit, pathlib, runpy, sys
peak, status = pathlib.Path(sys.argv.pop(1)), pathlib.Path("/proc/self/status")
atexit.register(lambda: peak.write_text(status.read_text()))
runpy.run_path("manage.py", run_name="__main__")
"""


def import_in_a_process(file: Path, output: Path) -> tuple[int, str]:
    """Run the command with a terminal for standard error; return its peak memory in KB and what the terminal got."""
    terminal, its_end = pty.openpty()
    peak = output.with_suffix(".peak")
    arguments = ["import_roster", str(file), "--organisation", "hlf", "--format", "json"]
    command = [sys.executable, "-c", WITH_ITS_PEAK, str(peak), *arguments]
    with output.open("wb") as stdout:
        environment = live_environment(TERM="xterm", COLUMNS="80")
        process = Popen(command, cwd=PROJECT, env=environment, stdin=DEVNULL, stdout=stdout, stderr=its_end)
    os.close(its_end)
    shown = b""
    with suppress(OSError):  # the terminal's other end was closed
        while seen := os.read(terminal, 65_536):
            shown += seen
    os.close(terminal)
    assert process.wait() == 0, shown
    [kilobytes] = re.findall(r"^VmHWM:\s+(\d+) kB$", peak.read_text(), re.MULTILINE)
    return int(kilobytes), shown.decode()


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
    return created, (peak - base) // 1024, shown
