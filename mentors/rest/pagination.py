"""Pages of a list: `{"count", "next", "previous", "results"}`."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request


class Pages(PageNumberPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= self.max_page_size):
            raise ValidationError({"page_size": f"Write a whole number from 1 to {self.max_page_size}."})
        return int(text)

    def get_page_number(self, request: Request, paginator: Any) -> int:
        text = request.query_params.get("page", "1")
        if not (text.isascii() and text.isdigit() and int(text[:19]) >= 1):
            raise ValidationError({"page": "Write a whole number from 1."})
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
