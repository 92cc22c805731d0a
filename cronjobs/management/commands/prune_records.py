"""Remove records that are older than they are kept: `manage.py prune_records [--dry-run]`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.template.defaultfilters import pluralize
from django.utils import timezone

from cronjobs.records import retention
from mentors.management.base import NattevaktCommand


class Command(NattevaktCommand):
    help = f"Remove runs of more than {settings.RECORDS_YEARS} years ago, and leave their sums and seals."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_format(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be removed, and remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        months = retention.find_old_months(now=now)
        if not options["dry_run"]:
            with self.progress("Items", total=sum(month.items for month in months)) as update:
                retention.prune(now=now, on_progress=lambda items: update(advance=items))
        if options["format"] == "json":
            shown = {"dry_run": options["dry_run"], "months": [asdict(one) for one in months]}
            self.write_json({"kept_from": retention.first_day_kept(now=now)} | shown)
            return
        verb = "would be removed" if options["dry_run"] else "removed"
        for one in months:
            what = f"{one.runs} run{pluralize(one.runs)} with {one.items} item{pluralize(one.items)}"
            self.stdout.write(f"{one.organisation} {one.month:%Y-%m}: {what} {verb}")
        if not months:
            self.stdout.write(f"Nothing is older than {retention.first_day_kept(now=now)}.")
