"""Ordering, searching and filtering a list: invalid parameters are refused, and an index serves each valid one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

LONGEST_SEARCH = 100
NO_NUL = r"^[^\x00]*$"
LARGEST_ID = 2**63 - 1


class Ordering(BaseFilterBackend):
    """`?ordering=` by one of the view's `ordering_fields`, descending with `-`; by default the view's `ordering`, or
    else the first field.

    Each field gives columns or expressions to sort by; the last of them is unique.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        choices = _choices(view)
        chosen = request.query_params.get("ordering", _default(view))
        if chosen not in choices:
            message = _("Order by one of: %(choices)s.") % {"choices": ", ".join(choices)}
            raise ValidationError({"ordering": [ErrorDetail(message, code="invalid")]})
        columns = view.ordering_fields[chosen.lstrip("-")]
        if chosen.startswith("-"):
            columns = [f"-{column}" if isinstance(column, str) else column.desc() for column in columns]
        return queryset.order_by(*columns)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        choices = _choices(view)
        return [
            {
                "name": "ordering",
                "in": "query",
                "description": "What comes first; `-` turns it round.",
                "schema": {"type": "string", "enum": choices, "default": _default(view)},
            }
        ]


class WordSearch(BaseFilterBackend):
    """`?search=`: every word must begin one of the words that the queryset's `search` looks at."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> QuerySet[Any]:
        text = request.query_params.get("search", "")
        if len(text) > LONGEST_SEARCH or "\0" in text:
            message = _("At most %(limit)s characters.") % {"limit": LONGEST_SEARCH}
            raise ValidationError({"search": [ErrorDetail(message, code="invalid")]})
        return queryset.search(text) if text.strip() else queryset  # type: ignore[no-any-return]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        schema = {"type": "string", "maxLength": LONGEST_SEARCH, "pattern": NO_NUL}
        return [{"name": "search", "in": "query", "description": view.search_description, "schema": schema}]


class AskedFilterSet(filters.FilterSet):
    """Builds only the filters that the request uses: django-filter copies all of them, and their form, each time."""

    def __init__(self, data: Any = None, *args: Any, **options: Any) -> None:
        self.base_filters = OrderedDict(
            (name, filter) for name, filter in type(self).base_filters.items() if name in (data or {})
        )
        super().__init__(data, *args, **options)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LARGEST_ID})
class IdFilter(filters.Filter):
    """By an id. It does not look the id up: an id out of scope gives an empty list, as does one that does not exist."""

    field_class = forms.IntegerField

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, min_value=1, max_value=LARGEST_ID)


class TextFilter(filters.CharFilter):
    """By an exact text."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(**options, max_length=max_length, strip=False)
        schema = {"type": "string", "minLength": 1, "maxLength": max_length, "pattern": NO_NUL}
        extend_schema_field(schema)(self)  # type: ignore[type-var]  # it marks whatever it is given


@extend_schema_field({"type": "boolean"})
class YesNoFilter(filters.TypedChoiceFilter):
    """`true` or `false`, and nothing else: if another word were ignored, the list would show everything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, choices=[("true", "true"), ("false", "false")], coerce=lambda text: text == "true")


def whole_number(request: Request, name: str, *, default: int, at_most: int) -> int:
    """Return a query parameter. Raises ValidationError that names it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(at_most)) and int(text) <= at_most):
        message = _("Write a whole number from %(lowest)s to %(highest)s.") % {"lowest": 0, "highest": at_most}
        raise ValidationError({name: [ErrorDetail(message, code="invalid")]})
    return int(text)


def one_of(request: Request, name: str, choices: Sequence[str]) -> str:
    """Return a query parameter, or the first choice if it is left out. Raises ValidationError that names it."""
    chosen = request.query_params.get(name, choices[0])
    if chosen not in choices:
        message = _("Write one of: %(choices)s.") % {"choices": ", ".join(choices)}
        raise ValidationError({name: [ErrorDetail(message, code="invalid")]})
    return chosen


def _choices(view: Any) -> list[str]:
    return [sign + name for name in view.ordering_fields for sign in ("", "-")]


def _default(view: Any) -> str:
    return getattr(view, "ordering", _choices(view)[0])
