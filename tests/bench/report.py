"""The table, and the page that keeps the last one."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.support.databases import ask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measured value beside what it is compared with."""

    what: str
    measured: str
    compared_with: str
    ratio: float | None = None
    unit: str = "×"
    at_most: float | None = None
    at_least: float | None = None
    judged: bool = True

    @property
    def result(self) -> str:
        if self.ratio is None:
            return ""
        return f"{self.ratio:.2f} ×" if self.unit == "×" else f"{self.ratio:,.0f} {self.unit}"

    @property
    def target(self) -> str:
        if not self.judged:
            return ""
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}"
        return f"≥ {self.at_least:g} {self.unit}" if self.at_least is not None else ""

    @property
    def verdict(self) -> str:
        if self.ratio is None or not self.target:
            return ""
        met = self.ratio <= self.at_most if self.at_most is not None else self.ratio >= (self.at_least or 0)
        return "met" if met else "**missed**"


def render(rows: list[Row]) -> str:
    """Return the table in Markdown, its columns aligned."""
    lines = [["what", "measured", "compared with", "ratio", "target", ""]]
    lines += [[row.what, row.measured, row.compared_with, row.result, row.target, row.verdict] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def describe_machine() -> str:
    """Say what it was measured on, in a line."""
    [(postgres,)] = ask("SHOW server_version")
    [(shared_buffers,)] = ask("SHOW shared_buffers")
    [(fsync,)] = ask("SHOW fsync")
    memory = psutil.virtual_memory().total / 1024**3
    versions = ", ".join(f"{name} {version(name)}" for name in ("Django", "celery", "psycopg"))
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}) shared by all processes, {memory:.0f} GB; "
        f"PostgreSQL {postgres} (shared_buffers {shared_buffers}, fsync {fsync}), "
        f"Python {platform.python_version()}, {versions}"
    )


def write_page(rows: list[Row], *, machine: str, method: str, now: datetime) -> None:
    missed = [f"- {row.what}: {row.result}, should be {row.target}." for row in rows if "missed" in row.verdict]
    conclusion = "\n".join(["What falls short:\n", *missed]) if missed else "All targets are met."
    PAGE.write_text(
        f"# Benchmarks\n\n`make bench` measures, prints this table and writes this page ({now:%Y-%m-%d}).\n\n"
        f"{render(rows)}\n\n{conclusion}\n\n## On what\n\n{machine}.\n\n{method}"
    )
