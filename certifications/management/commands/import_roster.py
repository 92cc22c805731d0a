"""manage.py import_roster FILE --organisation SLUG: the roster of an organisation, from CSV or XLSX."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from certifications.roster import ImportReport, import_roster
from certifications.roster import Progress as OnProgress
from certifications.roster_errors import RosterFileError
from mentors.management.base import NattevaktCommand


class Command(NattevaktCommand):
    help = "Import the chapters, mentors and certifications of a roster: all lines, or none if one has an error."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="CSV or XLSX")
        parser.add_argument("--organisation", metavar="SLUG", required=True)
        parser.add_argument("--create-chapters", action="store_true", help="create the chapters it names")
        parser.add_argument("--skip-errors", action="store_true", help="import the lines that have no error")
        parser.add_argument("--dry-run", action="store_true", help="report what an import would do, and write nothing")
        self.add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        organisation = self.find_organisation(options["organisation"])
        try:
            with _progress_bar() as on_progress:
                report = import_roster(
                    options["file"],
                    organisation=organisation,
                    now=timezone.now(),
                    create_chapters=options["create_chapters"],
                    skip_errors=options["skip_errors"],
                    dry_run=options["dry_run"],
                    on_progress=on_progress,
                )
        except RosterFileError as error:
            raise CommandError(str(error)) from error
        if options["format"] == "json":
            self._write_as_json(report)
        else:
            self._write_as_text(report, every_line=options["verbosity"] > 1)
        if report.errors and not options["skip_errors"]:
            raise CommandError(
                f"Nothing was imported: {report.errors} of {len(report.lines)} lines have errors. "
                "Correct them, or import the others with --skip-errors."
            )

    def _write_as_json(self, report: ImportReport) -> None:
        """Write line by line: a roster may have 200,000."""
        counts = {name: getattr(report, name) for name in ("created", "updated", "unchanged", "errors")}
        self.stdout.write(json.dumps(counts)[:-1] + ', "lines": [', ending="")
        for number, line in enumerate(report.lines):
            document = {
                "line": line.line,
                "verdict": line.verdict,
                "column": line.column,
                "message": line.message,
                "code": line.code or "",
            }
            self.stdout.write((",\n" if number else "\n") + json.dumps(document), ending="")
        self.stdout.write("\n]}")

    def _write_as_text(self, report: ImportReport, *, every_line: bool) -> None:
        for line in report.lines:
            if every_line or line.verdict == "error":
                reason = ": ".join(part for part in (line.column, line.message) if part)
                self.stdout.write(f"line {line.line}: {line.verdict}" + (f": {reason}" if reason else ""))
        if report.ignored_columns:
            self.stdout.write(f"Columns not used: {', '.join(report.ignored_columns)}.")
        if report.resumed:
            who = "resumed" if report.imported else "who would be resumed"
            self.stdout.write(f"Mentors {who}, because they have renewed: {report.resumed}.")
        self.stdout.write(
            ("Imported: " if report.imported else "Nothing was written. An import would give: ")
            + f"{report.created} created, {report.updated} updated, "
            + f"{report.unchanged} unchanged, {report.errors} with errors."
        )


@contextmanager
def _progress_bar() -> Iterator[OnProgress | None]:
    """Show how far it is on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description:>8}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        tasks = {step: progress.add_task(step, total=None) for step in ("reading", "writing")}
        yield lambda step, done, total: progress.update(tasks[step], completed=done, total=total)
