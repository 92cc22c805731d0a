"""Pages of a list: `{"count", "next", "previous", "results"}`."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

# So many ids or names cost less to read than to count and then to ask for again.
READ_AT_ONCE = 2000


class ReadAhead(Paginator[Any]):
    """Counts a list that is not long by reading it, in one query; for queries that select one narrow column."""

    @cached_property
    def beginning(self) -> list[Any]:
        return list(self.object_list[: READ_AT_ONCE + 1])

    @cached_property
    def count(self) -> int:
        read = len(self.beginning)
        return read if read <= READ_AT_ONCE else super().count

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        start, end = (number - 1) * self.per_page, number * self.per_page
        rows = self.beginning if end <= len(self.beginning) or self.count <= READ_AT_ONCE else self.object_list
        return Page(rows[start:end], number, self)


class Pages(PageNumberPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= self.max_page_size):
            bounds = {"lowest": 1, "highest": self.max_page_size}
            raise ValidationError({"page_size": _("Write a whole number from %(lowest)s to %(highest)s.") % bounds})
        return int(text)

    def get_page_number(self, request: Request, paginator: Any) -> int:
        text = request.query_params.get("page", "1")
        if not (text.isascii() and text.isdigit() and int(text[:19]) >= 1):
            raise ValidationError({"page": _("Write a whole number from 1.")})
        return int(text[:19])

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [
            {
                "name": "page",
                "in": "query",
                "description": "Which page; one that does not exist is 404.",
                "schema": {"type": "integer", "minimum": 1, "default": 1},
            },
            {"name": "page_size", "in": "query", "description": "How many a page.", "schema": size},
        ]


class NarrowPages(Pages):
    """Pages of a query that selects one narrow column."""

    django_paginator_class = ReadAhead
