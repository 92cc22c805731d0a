"""The records of runs as a file that proves itself (docs/records.md), written row by row however much there is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from cronjobs.ledger_rows import Row, ledger_rows
from cronjobs.models import Run, RunItem, Seal
from cronjobs.records.digests import AT_ONCE, COLUMNS, END_ROW, RUN_ROW, facts_of, hash_row, seal_facts, text_of
from cronjobs.records.seals import newest_seal
from mentors.accounts.scope import Scope
from mentors.record_text import RecordText
from mentors.spreadsheets import guard

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
FORMATS = tuple(CONTENT_TYPES)

RowsOf = Callable[[Run], Iterable[Row]]


def export_runs(
    runs: Iterable[Run], *, scope: Scope, name: str, format: str, rows_of: RowsOf | None = None
) -> StreamingHttpResponse:
    """Return a file of the format with the items of each run that the user sees, and the record of the run below them.

    `rows_of` gives other rows than those of the ledger.
    """

    def stored_rows(run: Run) -> Iterator[Row]:
        items = RunItem.objects.filter(scope.ledger(), run=run).order_by("id")
        return ledger_rows(items, "id", "dedupe_key", "mentor_id").iterator(AT_ONCE)

    rows = _chained(_rows(runs, scope=scope, rows_of=rows_of or stored_rows))
    return StreamingHttpResponse(
        _csv_lines(rows) if format == "csv" else _json_lines(rows),
        content_type=CONTENT_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}.{format}"'},
    )


def _rows(runs: Iterable[Run], *, scope: Scope, rows_of: RowsOf) -> Iterator[Row]:
    end = {"runs": 0, "items": 0}
    for run in runs:
        of_the_run = {"run": run.pk, "business_date": run.business_date}
        count = 0
        for count, row in enumerate(rows_of(run), start=1):  # noqa: B007  # the last one counts
            yield of_the_run | row
        record = {
            "rows": count,
            "is_part": not scope.sees_all_items(organisation_id=run.organisation_id),
            "facts": facts_of(run),
            "seal": _seal_of(run),
        }
        yield of_the_run | {"action": RUN_ROW, "status": run.status, "record": record}
        end = {"runs": end["runs"] + 1, "items": end["items"] + count}
    yield {"action": END_ROW, "record": end}


def _seal_of(run: Run) -> Row | None:
    """Return the seal of a run that is closed: while it is open again, what was sealed is no longer so."""
    seal = newest_seal(run) if run.concluded_at else None
    if seal is None:
        return None
    before = Seal.objects.filter(organisation=seal.organisation_id, number=seal.number - 1).first()
    return seal_facts(seal, previous=before.digest if before else "")


def _chained(rows: Iterable[Row]) -> Iterator[Row]:
    previous = ""
    for number, row in enumerate(rows, start=1):
        # Codes for a sentence: a file says the same in every language, and to its seal.
        data = {name: value.as_text() if isinstance(value, RecordText) else value for name, value in row.items()}
        numbered = data | {"row": number}
        previous = hash_row(previous, numbered)
        yield numbered | {"hash": previous}


class Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    writer: Any = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([guard(text_of(row.get(column))) for column in COLUMNS])


def _json_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write one array, a line each row."""
    renderer = JSONRenderer()
    before = b"[\n"
    for row in rows:
        yield before + renderer.render(row)
        before = b",\n"
    yield b"\n]\n"
