"""What all commands do alike: one clear line instead of a traceback, `--format`, and finding the organisation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError
from django.utils import translation
from psycopg import errors
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from mentors.models import Organisation

NOT_MIGRATED = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)


class NattevaktCommand(BaseCommand):
    """A command that exits 0 if it did what was asked, 2 on wrong usage, else 1 with one line on standard error.

    `--traceback` shows what was behind the line.
    """

    def add_format(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--format", choices=("text", "json"), default="text", help="json: one document on standard output"
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            # The language of operations: scripts read these lines, and LANGUAGE_CODE would make half of them Norwegian.
            with translation.override("en"):
                return super().execute(*args, **options)
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(_explain(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted.", returncode=130) from error

    def find_organisation(self, slug: str) -> Organisation:
        organisation = Organisation.objects.filter(slug=slug).first()
        if organisation:
            return organisation
        slugs = ", ".join(Organisation.objects.values_list("slug", flat=True))
        raise CommandError(
            f"There is no organisation “{slug}”. "
            + (f"There are: {slugs}." if slugs else "Make one with manage.py create_organisation.")
        )

    def console(self) -> Console:
        """Return what prints tables and headings to standard output, or to where a test has put it."""
        return Console(file=cast("IO[str]", self.stdout), width=None if self.stdout.isatty() else 160)

    @contextmanager
    def progress(
        self, words: str, *, total: float, number: ProgressColumn | None = None
    ) -> Iterator[Callable[..., None]]:
        """Show a bar on a terminal, nothing elsewhere; yields what to call with `advance` or `completed`."""
        console = Console(stderr=True)
        columns = (TextColumn(words), BarColumn(), number or MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            yield partial(bar.update, bar.add_task(words, total=total))

    def write_json(self, document: object) -> None:
        self.stdout.write(json.dumps(document, indent=2, default=_as_json))


def _as_json(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _explain(error: Exception) -> str:
    """Say in one line what the database complains of; a line about a row could name a person, so only its first."""
    cause = error.__cause__
    first_line = str(error).strip().partition("\n")[0]
    if isinstance(cause, NOT_MIGRATED):
        return f"The database is not prepared for this version: run manage.py migrate. ({first_line})"
    if getattr(cause, "sqlstate", None) is None:
        return f"No database answers at DATABASE_URL: {first_line}"
    return f"The database refused: {first_line}"
