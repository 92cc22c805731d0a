"""A list of the desk as a file: of the rows that its filters leave, CSV or XLSX, with no formula in it.

Only what the list itself shows of the user's scope is written: the rows come from the list's own page.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from import_export.admin import ExportMixin
from import_export.fields import Field
from import_export.formats.base_formats import CSV, XLSX
from import_export.forms import ExportForm
from import_export.resources import Resource
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from mentors.accounts.scope import Permission
from mentors.desk.action_page import AskForm
from mentors.desk.scoped import scope_of
from mentors.spreadsheets import guard, text_of_cell

AT_ONCE = 2000  # rows
PHONE = re.compile(r"\+[0-9]+")

Row = Iterable[str]


class HarmlessCSV(CSV):  # type: ignore[misc]  # the library has no types
    """Every cell is guarded, a phone number too: a spreadsheet would make a number of it, and lose the plus."""

    def export_data(self, dataset: Iterable[Row], **kwargs: Any) -> str:
        file = StringIO()
        csv.writer(file).writerows([guard(text) for text in row] for row in dataset)
        return file.getvalue()


class HarmlessXLSX(XLSX):  # type: ignore[misc]  # the library has no types
    """Every cell is a text. A phone number stays as it is, because a text with a plus is nothing but a text."""

    def export_data(self, dataset: Iterable[Row], **kwargs: Any) -> bytes:
        book = Workbook(write_only=True)  # which keeps no rows
        sheet = book.create_sheet()
        for row in dataset:
            harmless = (text if PHONE.fullmatch(text) else guard(text) for text in row)
            sheet.append([ILLEGAL_CHARACTERS_RE.sub("�", text) for text in harmless])
        file = BytesIO()
        book.save(file)
        return file.getvalue()


class Columns(Resource):  # type: ignore[misc]  # the library has no types
    """The columns of a file, each with the way to what stands in it: `chapter = Field("chapter__name")`."""

    @classmethod
    def get_display_name(cls) -> str:
        return cls.__name__

    def rows(self, queryset: QuerySet[Any]) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows: in one query, with no object made of any."""
        fields: list[Field] = self.get_export_fields()
        yield self.get_export_headers()
        values = queryset.prefetch_related(None).values_list(*(field.attribute for field in fields))
        for row in values.iterator(AT_ONCE):
            yield [text_of_cell(value) for value in row]


class FileForm(AskForm, ExportForm):  # type: ignore[misc]  # the library has no types
    """Which kind of file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["format"] = forms.ChoiceField(
            label=_("File"),
            choices=[(str(number), name) for number, name in enumerate(("CSV", "XLSX (Excel)"))],
            initial="1",
            widget=self.fields["format"].widget,
        )
        for name in ("resource", "export_items"):
            del self.fields[name]


class HarmlessExportMixin(ExportMixin):  # type: ignore[misc]  # the library has no types
    """A list that leaves as a file, and from which the way leads to the import of a roster.

    Mix it in before the list's own class.
    """

    file_columns: ClassVar[type[Columns]]
    export_formats = (HarmlessCSV, HarmlessXLSX)
    export_form_class = FileForm
    export_template_name = "desk/export.html"
    import_export_change_list_template = "desk/list_with_files.html"
    to_encoding = "utf-8-sig"  # or Excel would take Åse for something else

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    def get_export_resource_classes(self, request: HttpRequest) -> list[type[Columns]]:
        return [self.file_columns]

    def export_action(self, request: HttpRequest) -> HttpResponse:
        try:
            page: HttpResponse = super().export_action(request)
        except IncorrectLookupParameters:  # no such filter: the list itself says so
            return HttpResponseRedirect(reverse(f"admin:{'_'.join(self.get_model_info())}_changelist") + "?e=1")
        return page

    def get_data_for_export(self, request: HttpRequest, queryset: QuerySet[Any], **_kwargs: Any) -> Iterator[list[str]]:
        return self.file_columns().rows(queryset)

    def get_valid_export_item_pks(self, request: HttpRequest) -> list[int]:
        """Rows are chosen by the list's filters, and not by their ids."""
        return []

    def get_export_filename(self, request: HttpRequest, queryset: QuerySet[Any], file_format: Any) -> str:
        return f"{self.opts.model_name}s-{timezone.localdate()}.{file_format.get_extension()}"

    def init_request_context_data(self, request: HttpRequest, form: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().init_request_context_data(request, form)
        [(_resource, names)] = context["fields_list"]
        return context | {"title": _("Export"), "columns": names}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_import = scope_of(request).may(Permission.LEAD)
        context = {**(extra_context or {}), "may_import_roster": may_import}
        page: HttpResponse = super().changelist_view(request, context)
        return page
