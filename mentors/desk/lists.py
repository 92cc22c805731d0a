"""What the address of a list may ask for: its own filters, search, order and pages, and nothing else.

Django's admin takes any lookup on the fields of a model. `?password__startswith=…` would tell, letter by letter, what
no page shows, and `?name__regex=(` is an error of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

UNREADABLE = (ValueError, OverflowError, DataError)  # no such day, no such number, a NUL


class DeskChangeList(ChangeList):
    """A list that is asked only for what it offers, by values that can be compared.

    Raises IncorrectLookupParameters.
    """

    model_admin: ListAdmin

    def get_filters(self, request: HttpRequest) -> Any:
        """Return the filters; what they leave of the query string must be of the desk's own links."""
        found = super().get_filters(request)
        days = {f"{self.date_hierarchy}__gte", f"{self.date_hierarchy}__lt"}  # Django's own words for a year or a month
        if found[2].keys() - days - {*self.model_admin.linked_lookups}:
            raise IncorrectLookupParameters
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        try:
            return super().get_queryset(request, exclude_parameters)
        except UNREADABLE as error:
            raise IncorrectLookupParameters from error

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except UNREADABLE as error:
            raise IncorrectLookupParameters from error


class ChosenRow(AutocompleteSelect):
    """A choice that is typed; when a form is shown again, what no row can have as its key is not looked for."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        key = self.field.target_field

        def can_be_key(text: str) -> bool:
            try:
                key.to_python(text)
            except ValidationError:
                return False
            return True

        return super().optgroups(name, [text for text in value if can_be_key(text)], attr)


class ListAdmin(ModelAdmin):
    """A list of the desk. Pages of the desk link to it by its filters, and by its `linked_lookups`."""

    linked_lookups: ClassVar[tuple[str, ...]] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # type: ignore[override]  # unfold says what it does not return
        return DeskChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let the filters take what is theirs; what they leave, DeskChangeList judges."""
        return True

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", ChosenRow(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row, or None, also for an id that no row can have, and by its key if `_to_field` is empty."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field or None)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the list. To an address that it cannot read, Django adds a flag: say so, and show the whole list."""
        if ERROR_FLAG in request.GET:
            messages.error(request, _("The list has no such filter or page. This is the whole list."))
            return cast("TemplateResponse", HttpResponseRedirect(request.path))  # unfold says what it does not return
        return super().changelist_view(request, extra_context)
