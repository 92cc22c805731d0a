"""Do the records agree with their seals? `manage.py verify_records [FILE …]`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import OperationalError
from django.template.defaultfilters import pluralize
from django.utils import timezone

from cronjobs.models import Seal
from cronjobs.monitoring import incidents
from cronjobs.records.file_check import FileReport, check_file
from cronjobs.records.verification import check_chain, check_exported
from mentors.management.base import NattevaktCommand
from mentors.models import Organisation


class Command(NattevaktCommand):
    help = "Check the seals of closed runs against the database, or exported files: exit 1 if anything was changed."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_format(parser)
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="exported files, instead of the chains")
        parser.add_argument("--organisation", metavar="SLUG", help="the chain of this one only")
        parser.add_argument(
            "--digest",
            action="append",
            default=[],
            help="of a seal, noted down earlier: it must still be there",
        )
        parser.add_argument(
            "--alert", action="store_true", help="tell operations too what does not agree, and when it is over"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["digest"] and not options["organisation"]:
            raise CommandError("Say with --organisation whose chain should have the digest.", returncode=2)
        if options["files"] and options["organisation"]:
            raise CommandError("Give files or --organisation, not both.", returncode=2)
        if options["alert"] and (options["files"] or options["organisation"]):
            raise CommandError("--alert is for all chains: leave out the files and --organisation.", returncode=2)
        files = options["files"]
        reports = [self._check_file(path) for path in files] if files else self._check_chains(options)
        self._write(reports, as_json=options["format"] == "json")
        if options["alert"]:
            incidents.report_records({report.what: report.faults for report in reports}, now=timezone.now())
        faults = sum(len(report.faults) for report in reports)
        if faults:
            raise CommandError(f"{faults} {'thing does' if faults == 1 else 'things do'} not agree.")

    def _check_file(self, path: Path) -> FileReport:
        try:
            return check_exported(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except OperationalError:
            report, _runs = check_file(path)
            report.notes.append("the database does not answer: the seals were compared with the file only")
            return report

    def _check_chains(self, options: dict[str, Any]) -> list[FileReport]:
        slug = options["organisation"]
        organisations = [self.find_organisation(slug)] if slug else list(Organisation.objects.all())
        runs = Seal.objects.filter(organisation__in=organisations).values("run_id").distinct().count()
        with self.progress("Runs", total=runs) as update:
            advance = partial(update, advance=1)
            return [check_chain(one, noted=options["digest"], on_progress=advance) for one in organisations]

    def _write(self, reports: list[FileReport], *, as_json: bool) -> None:
        if as_json:
            agrees = not any(report.faults for report in reports)
            self.write_json({"agrees": agrees, "checked": [asdict(report) for report in reports]})
            return
        for report in reports:
            verdict = "does not agree" if report.faults else "in order"
            runs, items = f"run{pluralize(report.runs)}", f"item{pluralize(report.items)}"
            self.stdout.write(f"{report.what}: {report.runs} {runs} with {report.items} {items}, {verdict}")
            for text in (*report.faults, *(f"({note})" for note in report.notes)):
                self.stdout.write(f"  {text}")
