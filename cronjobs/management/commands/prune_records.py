"""Remove records and security events that are older than they are kept: `manage.py prune_records [--dry-run]`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.template.defaultfilters import pluralize
from django.utils import timezone

from cronjobs.records import retention
from mentors.accounts.security_trail import find_old_events, prune_events
from mentors.management.base import NattevaktCommand


class Command(NattevaktCommand):
    help = (
        f"Remove runs closed more than {settings.RECORDS_YEARS} years ago, and leave their sums and seals; and security"
        f" events of more than {settings.SECURITY_DAYS} days ago."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_format(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be removed, and remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        months = retention.find_old_months(now=now)
        events = find_old_events(now=now).count()
        if not options["dry_run"]:
            with self.progress("Items", total=sum(month.items for month in months)) as update:
                retention.prune(now=now, on_progress=lambda items: update(advance=items))
            prune_events(now=now)
        doubtful = [str(pk) for pk in retention.find_doubtful_runs(now=now).order_by("pk").values_list("pk", flat=True)]
        if options["format"] == "json":
            shown = {
                "dry_run": options["dry_run"],
                "months": [asdict(one) for one in months],
                "doubtful": doubtful,
                "security_events": events,
            }
            self.write_json({"kept_from": retention.first_day_kept(now=now)} | shown)
        else:
            self._write(months, events, options["dry_run"], now=now)
        if doubtful:
            what = "run is" if len(doubtful) == 1 else "runs are"
            when = "it was" if len(doubtful) == 1 else "they were"
            raise CommandError(
                f"{len(doubtful)} {what} kept, because a clock was wrong when {when} written: {', '.join(doubtful)}."
            )

    def _write(self, months: list[retention.OldMonth], events: int, is_dry_run: bool, *, now: datetime) -> None:
        verb = "would be removed" if is_dry_run else "removed"
        for one in months:
            what = f"{one.runs} run{pluralize(one.runs)} with {one.items} item{pluralize(one.items)}"
            self.stdout.write(f"{one.organisation} {one.month:%Y-%m}: {what} {verb}")
        if events:
            self.stdout.write(f"{events} security event{pluralize(events)} {verb}")
        if not months:
            self.stdout.write(f"Nothing is older than {retention.first_day_kept(now=now)}.")
