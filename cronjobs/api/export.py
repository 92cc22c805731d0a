"""The ledger of a run as a file, written row by row however long the night was."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from cronjobs.api.serializers import ITEM_FIELDS, Row, Rows
from cronjobs.models import Run, RunItem

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
FORMATS = tuple(CONTENT_TYPES)
COLUMNS = ("run", "business_date", *ITEM_FIELDS)
# What a spreadsheet takes for the beginning of a formula, and would calculate.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
AT_ONCE = 2000  # rows


def export_rows(rows: QuerySet[RunItem, Row] | Rows, *, run: Run, format: str) -> StreamingHttpResponse:
    """Return the rows as a file of the format, named after the run."""
    read = rows.iterator(AT_ONCE) if isinstance(rows, QuerySet) else iter(rows)
    exported = ({"run": run.pk, "business_date": run.business_date, **row} for row in read)
    lines = _csv_lines(exported) if format == "csv" else _json_lines(exported)
    name = f"{run.organisation.slug}-{run.business_date}-{run.pk}.{format}"
    return StreamingHttpResponse(
        lines,
        content_type=CONTENT_TYPES[format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


class Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    writer: Any = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        yield writer.writerow([_cell(row[column]) for column in COLUMNS])


def _cell(value: object) -> str:
    """Write a value so that a spreadsheet shows it and does not calculate it."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, date) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _json_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write one array, a line each row."""
    renderer = JSONRenderer()
    before = b"[\n"
    for row in rows:
        yield before + renderer.render(row)
        before = b",\n"
    yield b"\n]\n" if before == b",\n" else b"[]\n"
