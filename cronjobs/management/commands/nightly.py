"""One run now: `manage.py nightly --organisation SLUG`."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from time import monotonic, sleep
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone, translation
from rich.progress import TextColumn
from rich.table import Table

from certifications.recheck import recheck_messages
from cronjobs import nightly, starting
from cronjobs.api.serializers import RunItemSerializer, RunSerializer
from cronjobs.dispatch import BrokerUnavailable
from cronjobs.dry_run import make_dry_run
from cronjobs.ledger import check_business_date
from cronjobs.ledger_rows import ledger_rows
from cronjobs.models import Action, Run, RunItem
from cronjobs.records.retention import check_not_pruned
from mentors.management.base import NattevaktCommand
from mentors.models import Organisation
from notifications import dispatch as delivery_queue
from notifications.delivery import deliver_all

SECONDS_TO_HINT = 15


def a_date(text: str) -> date:
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is not a date; write it as 2026-11-21") from None
    try:
        with translation.override("en"):  # as `NattevaktCommand` does; options are read before it can
            check_business_date(on)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(error.message) from None
    return on


def some_actions(text: str) -> list[Action]:
    try:
        asked = {Action(action) for action in text.split(",")}
    except ValueError:
        raise argparse.ArgumentTypeError(f"write some of {','.join(Action.values)}, not “{text}”") from None
    return [action for action in nightly.ALL_ACTIONS if action in asked]


class Command(NattevaktCommand):
    help = "Run the night of an organisation now: pause, resume and remind, through the workers."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_format(parser)
        parser.add_argument("--organisation", required=True, metavar="SLUG")
        parser.add_argument(
            "--date", type=a_date, metavar="D", help="a past day, or with --dry-run any day; else today"
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be done and why, and write nothing")
        parser.add_argument("--inline", action="store_true", help="work in this process, when Redis is down")
        parser.add_argument("--approve", action="store_true", help="a person has looked: the brake does not hold it")
        parser.add_argument("--actions", type=some_actions, default=list(nightly.ALL_ACTIONS), metavar="A,B")
        parser.add_argument(
            "--timeout", type=int, default=600, metavar="S", help="give up waiting after S seconds without progress"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["format"] == "json"
        organisation = self.find_organisation(options["organisation"])
        today = organisation.local_date(timezone.now())
        on = options["date"] or today
        if options["dry_run"]:
            looked, due = make_dry_run(
                organisation=organisation,
                on=on,
                actions=options["actions"],
                requested_by=getpass.getuser(),
                now=timezone.now(),
            )
            self._write(RunSerializer(looked).data | {"id": None}, [item.as_row() for item in due])
            return
        if on > today:
            raise CommandError(f"{on} has not come yet in {organisation.timezone}: add --dry-run to look ahead.")
        try:
            check_not_pruned(organisation, on=on)
        except ValidationError as error:
            raise CommandError(error.message) from error
        run = self._run_here(organisation, on, options) if options["inline"] else self._run(organisation, on, options)
        items = RunItem.objects.filter(run=run).order_by("action", "mentor__ref", "id")
        self._write(RunSerializer(run).data, list(ledger_rows(items)))
        if run.status != Run.Status.SUCCEEDED:
            raise CommandError(why_not_green(run))

    def _run(self, organisation: Organisation, on: date, options: dict[str, Any]) -> Run:
        try:
            run = starting.execute_expiry_check(
                organisation=organisation,
                business_date=on,
                actions=options["actions"],
                approved=options["approve"],
                requested_by=getpass.getuser(),
                now=timezone.now(),
            )
        except nightly.RunAlreadyOpen as error:
            raise CommandError(f"{error} {what_to_do(error.run)}") from error
        except BrokerUnavailable as error:
            raise CommandError(
                "Redis does not answer at REDIS_URL. The run is planned and loses nothing: start Redis and the sweep "
                "hands it out, or finish it here with --inline."
            ) from error
        return self._wait(run, timeout=options["timeout"])

    def _run_here(self, organisation: Organisation, on: date, options: dict[str, Any]) -> Run:
        with delivery_queue.muted(), self._progress() as show:
            try:
                run = starting.execute_here(
                    organisation=organisation,
                    business_date=on,
                    actions=options["actions"],
                    approved=options["approve"],
                    requested_by=getpass.getuser(),
                    clock=timezone.now,
                    on_progress=show,
                )
            except nightly.RunAlreadyOpen as error:
                raise CommandError(f"{error} {what_to_do(error.run)}") from error
            deliver_all(now=timezone.now, recheck_messages=recheck_messages)
        return run

    def _wait(self, run: Run, *, timeout: int) -> Run:
        """Wait until the run is closed, or held with nothing left that may be done."""
        progress, moved_at, hinted = -1.0, monotonic(), False
        with self._progress() as show:
            while run.is_open:
                allowed = run.items.pending().exclude(action=Action.PAUSE)
                if run.status == Run.Status.HELD and not allowed.exists():
                    break
                if run.progress != progress:
                    progress, moved_at = run.progress, monotonic()
                    show(run)
                idle = monotonic() - moved_at
                if idle > SECONDS_TO_HINT and not hinted:
                    self.stderr.write(
                        f"Nothing moves for {SECONDS_TO_HINT} s: is a worker running? (--inline needs none.)"
                    )
                    hinted = True
                if idle > timeout:
                    raise CommandError(
                        f"Run {run.pk} has not moved for {timeout} s; it stays open, and the sweep goes on."
                    )
                sleep(0.1)
                run.refresh_from_db()
        return run

    @contextmanager
    def _progress(self) -> Iterator[Any]:
        """Yield what to call with the run as it goes on."""
        with self.progress("The night", total=1.0, number=TextColumn("{task.percentage:.0f} %")) as update:
            yield lambda run: update(completed=run.progress)

    def _write(self, run: dict[str, Any], items: list[dict[str, Any]]) -> None:
        if self.as_json:
            self.write_json({"run": run, "items": RunItemSerializer(items, many=True).data})
            return
        table = Table(box=None, header_style="bold")
        for heading in ("action", "mentor", "name", "certification", "expires", "stage", "what came of it"):
            table.add_column(heading)
        for item in items:
            table.add_row(
                item["action"],
                item["mentor_ref"],
                item["mentor_name"],
                " ".join(filter(None, (item["type"], item["number"]))),
                str(item["expires_on"] or ""),
                str(item["stage"] or ""),
                str(item["outcome"] or item["error"] or item["status"]),
            )
        console = self.console()
        console.print(table if items else "Nothing is left to do.")
        console.print(summary(run))


def summary(run: dict[str, Any]) -> str:
    parts = [
        f"{action}: " + ", ".join(f"{count[key]} {key}" for key in ("planned", "done", "skipped", "failed"))
        for action, count in run["counts"].items()
    ]
    head = f"{run['organisation']}, {run['business_date']}: " + ("dry run" if run["dry_run"] else run["status"])
    handled = f"{run['already_handled']} had been handled before"
    return "\n".join([head, *parts] + ([] if run["dry_run"] else [handled]))


def what_to_do(open_run: Run) -> str:
    if open_run.status == Run.Status.HELD:
        return "With --approve this command runs anew."
    return "With --inline this command finishes it here and now."


def why_not_green(run: Run) -> str:
    if run.status == Run.Status.HELD:
        would_pause = run.counts[Action.PAUSE]["planned"]
        return (
            f"Run {run.pk} is held: it would pause {would_pause} mentors, more than the organisation allows without a "
            f"person. Look with --dry-run, then run again with --approve."
        )
    return f"Run {run.pk} is {run.status}: {run.error}"
