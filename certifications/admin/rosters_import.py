"""A roster as django-import-export goes about a file: what it is kept in, read by, and imported with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from import_export.formats.base_formats import Format
from import_export.resources import Resource
from import_export.results import Error, Result, RowResult
from import_export.tmp_storages import BaseStorage

from certifications.models import RosterUpload
from certifications.roster import ImportReport, LineVerdict
from certifications.roster_errors import LineCode, RosterFileError
from certifications.roster_file import COLUMNS, Cells
from certifications.roster_uploads import UploadReport, forget_upload, import_upload, keep_upload

IMPORT_TYPES = {
    "created": RowResult.IMPORT_TYPE_NEW,
    "updated": RowResult.IMPORT_TYPE_UPDATE,
    "unchanged": RowResult.IMPORT_TYPE_SKIP,
    "error": RowResult.IMPORT_TYPE_ERROR,
}
WORDS = {
    RowResult.IMPORT_TYPE_NEW: _("New"),
    RowResult.IMPORT_TYPE_UPDATE: _("Changed"),
    RowResult.IMPORT_TYPE_SKIP: _("Unchanged"),
    RowResult.IMPORT_TYPE_ERROR: _("Wrong"),
}
# What the desk says in other words than the command: of its own options, and where one word means too much.
SENTENCES = {
    LineCode.REQUIRED: _("must not be empty"),
    LineCode.UNKNOWN_CHAPTER: _("unknown chapter: create it, or tick “Create the chapters that it names”"),
}


class UploadStorage(BaseStorage):  # type: ignore[misc]  # the library has no types
    """Keeps a file in the database; its name is the upload that `YesForm` has locked, when it is read again."""

    def save(self, file: UploadedFile[Any]) -> RosterUpload:
        return keep_upload(
            user=file.user,  # type: ignore[attr-defined]
            organisation=file.organisation,  # type: ignore[attr-defined]
            name=file.name or "",
            content=file.read(),
            now=timezone.now(),
        )

    def read(self) -> RosterUpload:
        upload: RosterUpload = self.name
        return upload

    def remove(self) -> None:
        forget_upload(self.read().pk)


class RosterFormat(Format):  # type: ignore[misc]  # the library has no types
    """CSV or XLSX: `certifications/roster_file.py` finds out which, and in which encoding, and reads it."""

    def __init__(self, encoding: str | None = None) -> None:
        super().__init__()

    def get_title(self) -> str:
        return "CSV, XLSX"

    def can_import(self) -> bool:
        return True

    def create_dataset(self, in_stream: RosterUpload) -> RosterUpload:
        """Leave it as it is: it is read when it is imported."""
        return in_stream


class RosterRow(RowResult):  # type: ignore[misc]  # the library has no types
    """What becomes of a line."""

    def __init__(self, verdict: LineVerdict, cells: Cells) -> None:
        super().__init__()
        self.line = verdict.line
        self.column = verdict.column
        self.message = str(SENTENCES.get(verdict.code, "")) or verdict.message if verdict.code else ""
        self.import_type = IMPORT_TYPES[verdict.verdict]
        self.row_values = dict(zip(COLUMNS, cells, strict=False))
        self.word = WORDS[self.import_type]
        if self.is_error():
            self.errors = [Error(self.message, row=self.row_values, number=self.line)]


class RosterResult(Result):  # type: ignore[misc]  # the library has no types
    """What becomes of a file, or would. Wrong lines are no reason to hide the others from the preview."""

    report: ImportReport

    def __init__(self, upload: RosterUpload) -> None:
        super().__init__()
        self.upload = upload

    def take(self, done: UploadReport) -> None:
        self.report = done.report
        self.rows = [RosterRow(verdict, done.cells.get(verdict.line, ())) for verdict in done.report.lines]
        self.total_rows = len(self.rows)
        for row in self.rows:
            self.increment_row_result_total(row)

    def has_errors(self) -> bool:
        return bool(self.base_errors)

    @property
    def wrong(self) -> int:
        return self.report.errors

    @property
    def importable(self) -> int:
        """How many lines have something to write."""
        return self.report.created + self.report.updated


class RosterResource(Resource):  # type: ignore[misc]  # the library has no types
    """Imports by the rules and the code of `manage.py import_roster`."""

    @classmethod
    def get_display_name(cls) -> str:
        return "roster"

    def import_data(
        self,
        dataset: RosterUpload,
        dry_run: bool = False,
        *,
        now: datetime,
        create_chapters: bool,
        skip_errors: bool,
        **_kwargs: Any,
    ) -> RosterResult:
        result = RosterResult(dataset)
        try:
            done = import_upload(
                dataset, now=now, create_chapters=create_chapters, skip_errors=skip_errors, dry_run=dry_run
            )
        except RosterFileError as error:
            result.append_base_error(Error(str(error)))
        else:
            result.take(done)
        return result
