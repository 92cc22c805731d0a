"""Long lists that stay fast: a page's ids are found by an index, and only its own rows are read whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from mentors.desk.scoped import ScopedAdmin
from mentors.rest.filters import LONGEST_SEARCH


class NarrowChangeList(ChangeList):
    """Reads a page in two steps, so that what stands before it is walked without its relations."""

    model_admin: LongListAdmin

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        ids = list(self.result_list.values_list("pk", flat=True))
        rows = self.root_queryset.order_by().select_related(*self.model_admin.related).in_bulk(ids)
        self.result_list = [rows[id] for id in ids if id in rows]
        self.model_admin.dress(request, self.result_list)


class LongListAdmin(ScopedAdmin):
    """A list of a hundred thousand rows, found by the model's own `search`."""

    related: ClassVar[tuple[str, ...]] = ()
    list_per_page = 25

    def dress(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Give the rows of a page what its columns show, for all of them at once."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # type: ignore[override]  # unfold says what it does not return
        return NarrowChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        text = search_term.replace("\0", "")[:LONGEST_SEARCH]
        return (queryset.search(text) if text.strip() else queryset), False  # type: ignore[attr-defined]
