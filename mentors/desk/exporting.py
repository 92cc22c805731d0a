"""A list of the desk as a file: of the rows that its filters leave, CSV or XLSX, with no formula in it.

Only what the list itself shows of the user's scope is written: the rows come from the list's own page.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO, StringIO
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from mentors.accounts.scope import Permission
from mentors.desk.action_page import AskForm
from mentors.desk.scoped import ScopedAdmin, scope_of
from mentors.spreadsheets import escape_xlsx, guard, text_of_cell

AT_ONCE = 2000  # rows
PHONE = re.compile(r"\+[0-9]+")

Rows = Iterable[Iterable[str]]


def _write_csv(rows: Rows) -> bytes:
    """Guard every cell, a phone number too: a spreadsheet would make a number of it, and lose the plus."""
    file = StringIO()
    csv.writer(file).writerows([guard(text) for text in row] for row in rows)
    return file.getvalue().encode("utf-8-sig")  # or Excel would take Åse for something else


def _write_xlsx(rows: Rows) -> bytes:
    """Make every cell a text. A phone number stays as it is, because a text with a plus is nothing but a text."""
    book = Workbook(write_only=True)  # which keeps no rows
    sheet = book.create_sheet()
    for row in rows:
        harmless = (text if PHONE.fullmatch(text) else guard(text) for text in row)
        sheet.append([ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", escape_xlsx(text)) for text in harmless])
    file = BytesIO()
    book.save(file)
    return file.getvalue()


FORMATS = {
    "0": ("csv", "text/csv", _write_csv),
    "1": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _write_xlsx),
}


class FileForm(AskForm):
    """Which kind of file."""

    format = forms.ChoiceField(label=_("File"), choices=[("0", "CSV"), ("1", "XLSX (Excel)")], initial="1")


class ExportMixin(ScopedAdmin):
    """A list that can be downloaded as a file, and that leads to the import of a roster.

    Mix it in before the list's own class. `file_columns` has the columns of the file, each with the way to its value.
    """

    file_columns: ClassVar[Mapping[str, str]]
    change_list_template = "desk/list_with_files.html"

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export_view), name=name), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the kind of file, then send it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:  # no such filter: the list itself says so
            changelist = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
            return HttpResponseRedirect(f"{changelist}?e=1")
        form = FileForm(request.POST or None)
        if form.is_valid():
            ending, content_type, write = FORMATS[form.cleaned_data["format"]]
            name = f"{self.opts.model_name}s-{timezone.localdate()}.{ending}"
            disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
            return HttpResponse(write(self._cells(rows)), content_type=content_type, headers=disposition)
        context = {"title": _("Export"), "form": form, "opts": self.opts, "columns": list(self.file_columns)}
        return TemplateResponse(request, "desk/export.html", self.admin_site.each_context(request) | context)

    def _cells(self, rows: QuerySet[Any]) -> Iterator[Iterable[str]]:
        """Yield the names of the columns, then the rows: in one query, with no object made of any."""
        yield self.file_columns
        for row in rows.prefetch_related(None).values_list(*self.file_columns.values()).iterator(AT_ONCE):
            yield [text_of_cell(value) for value in row]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        context: dict[str, Any] = {**(extra_context or {}), "may_import_roster": scope_of(request).may(Permission.LEAD)}
        return super().changelist_view(request, context)
