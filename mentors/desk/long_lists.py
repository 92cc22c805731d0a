"""Long lists that stay fast: a page's ids are found by an index, and only its own rows are read whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django.contrib.admin.views.main import SEARCH_VAR
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from mentors.desk.lists import DeskChangeList
from mentors.desk.scoped import ScopedAdmin
from mentors.rest.filters import LONGEST_SEARCH

MOST_COUNTED = 1000


class AtLeast(int):
    """A number of rows of which there are more."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class SearchPaginator(Paginator[Any]):
    """Counts what a search has found up to MOST_COUNTED: to count all that have a common name takes the longest."""

    @cached_property
    def count(self) -> int:
        found = cast("QuerySet[Any]", self.object_list).order_by()
        counted = found[: MOST_COUNTED + 1].count()
        return AtLeast(MOST_COUNTED) if counted > MOST_COUNTED else counted


class NarrowChangeList(DeskChangeList):
    """Reads a page in two steps, so that what stands before it is walked without its relations."""

    model_admin: LongListAdmin

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        ids = list(self.result_list.values_list("pk", flat=True))
        rows = self.root_queryset.order_by().select_related(*self.model_admin.related).in_bulk(ids)
        self.result_list = [rows[id] for id in ids if id in rows]
        self.model_admin.annotate_rows(request, self.result_list)


class LongListAdmin(ScopedAdmin):
    """A list of a hundred thousand rows, found by the model's own `search`."""

    related: ClassVar[tuple[str, ...]] = ()
    list_per_page = 25

    def annotate_rows(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Give the rows of a page what its columns show, for all of them at once."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read what is related with the row of a page; for a list, NarrowChangeList does it."""
        rows = super().get_queryset(request)
        is_page = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return rows.select_related(*self.related) if is_page else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # type: ignore[override]  # unfold says what it does not return
        return NarrowChangeList

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Paginator[Any]:
        paginator = SearchPaginator if request.GET.get(SEARCH_VAR, "").strip() else self.paginator
        counted: Paginator[Any] = paginator(queryset, *args, **kwargs)
        return counted

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        text = search_term.replace("\0", "")[:LONGEST_SEARCH]
        return (queryset.search(text) if text.strip() else queryset), False  # type: ignore[attr-defined]
