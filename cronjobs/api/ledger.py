"""The ledger of a run: everything it had to do, to whom, and what came of it."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from cronjobs.api.filters import RunItemFilter
from cronjobs.api.serializers import EXPORTED_ROW, RunItemSerializer
from cronjobs.dry_run import dry_run_rows
from cronjobs.ledger_rows import Row, Rows, ledger_rows
from cronjobs.models import Run, RunItem, RunItemQuerySet
from cronjobs.records.export import FORMATS, export_runs
from mentors.rest.filters import one_of
from mentors.rest.views import ScopedViewSet

ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The run's id.")


class LedgerViewSet(ScopedViewSet):
    """What a run had to do, as far as it is about mentors whom the user sees."""

    queryset = RunItem.objects.all()
    serializer_class = RunItemSerializer
    filter_backends = (DjangoFilterBackend,)
    filterset_class = RunItemFilter
    query_params = {"export": ("format",)}

    def get_queryset(self) -> RunItemQuerySet:
        return RunItem.objects.filter(self.scope.ledger()).order_by("id")

    @extend_schema(parameters=[ID], responses=RunItemSerializer(many=True))
    @action(detail=False, is_list=True)
    def items(self, request: Request, id: str) -> Response:
        """List the items of a run. A dry run keeps none: what it would do is planned anew by every reading."""
        return self.get_paginated_response(self.paginate_queryset(self.rows_of(self.find_run(id))))

    @extend_schema(
        parameters=[
            ID,
            OpenApiParameter("format", enum=FORMATS, default=FORMATS[0], description="Which kind of file."),
        ],
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/json"): EXPORTED_ROW},
    )
    @action(detail=False, filter_backends=(), pagination_class=None)
    def export(self, request: Request, id: str) -> StreamingHttpResponse:
        """Take the evidence along: all items of a run as a file that proves itself; of a dry run, what it would do.

        Every row has the hash of the row before it and itself. Below the items stand the run and its seal, and then
        the end of the file. `manage.py verify_records FILE` checks it.
        """
        format = one_of(request, "format", FORMATS)
        run = self.find_run(id)
        return export_runs(
            [run],
            scope=self.scope,
            name=f"{run.organisation.slug}-{run.business_date}-{run.pk}",
            format=format,
            rows_of=self._planned_rows if run.dry_run else None,
        )

    def find_run(self, id: str) -> Run:
        return get_object_or_404(Run.objects.filter(self.scope.runs()).select_related("organisation"), pk=id)

    def rows_of(self, run: Run) -> QuerySet[RunItem, Row] | Rows:
        stored = self.filter_queryset(self.get_queryset().filter(run=run))
        return self._planned_rows(run) if run.dry_run else ledger_rows(stored)

    def _planned_rows(self, run: Run) -> Rows:
        """Return what the dry run would do, within the scope and the filters of the list, checked by now."""
        params = self.request.query_params
        wanted = [(name, params[name]) for name in RunItemFilter.base_filters if name in params]
        rows = dry_run_rows(run, scope=self.scope, now=timezone.now())
        return [row for row in rows if all(row[name] == value for name, value in wanted)]
