"""Runs: what every night did, and what a person decides about it."""

from __future__ import annotations

from typing import Any, cast

from django.http import StreamingHttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from structlog.contextvars import bind_contextvars

from cronjobs import nightly, starting
from cronjobs.api.filters import RunFilter
from cronjobs.api.serializers import EXPORTED_ROW, RunSerializer, UndoneSerializer
from cronjobs.api.starting import LOCATION, RunStarter
from cronjobs.dispatch import dispatch_or_defer
from cronjobs.models import OLDEST_FIRST, Run, RunQuerySet
from cronjobs.records.digests import AT_ONCE
from cronjobs.records.export import FORMATS, export_runs
from cronjobs.undo import undo_pauses
from mentors.accounts.scope import Permission, Scope
from mentors.models import User
from mentors.rest.filters import Ordering, one_of
from mentors.rest.serializers import NoBody, Reason


def runs_seen(scope: Scope) -> RunQuerySet:
    """Return the runs that the user sees, with what `RunSerializer` reads of each, by one query."""
    return Run.objects.filter(scope.runs()).select_related("organisation").with_pending_count()


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, RunStarter):
    """What ran, and what came of it; dry runs and missed slots among them."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    filter_backends = (DjangoFilterBackend, Ordering)
    filterset_class = RunFilter
    ordering_fields = {"created_at": OLDEST_FIRST}
    ordering = "-created_at"
    permissions_by_action = dict.fromkeys(("approve", "reject", "undo", "retry"), Permission.LEAD)
    query_params = {"export": ("format", *RunFilter.base_filters)}

    def get_queryset(self) -> RunQuerySet:
        return runs_seen(self.scope)

    def get_object(self) -> Run:
        run = cast("Run", super().get_object())
        bind_contextvars(run_id=str(run.pk))  # for all that the request logs
        return run

    @extend_schema(
        operation_id="runs_export_many",
        parameters=[OpenApiParameter("format", enum=FORMATS, default=FORMATS[0], description="Which kind of file.")],
        responses={(200, "text/csv"): OpenApiTypes.STR, (200, "application/json"): EXPORTED_ROW},
    )
    @action(detail=False, filter_backends=(DjangoFilterBackend,), pagination_class=None)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Take the evidence of many runs along, oldest first, in one file as that of one; dry runs left out."""
        format = one_of(request, "format", FORMATS)
        runs = Run.objects.real().filter(self.scope.runs()).order_by("business_date", "created_at", "id")
        return export_runs(
            self.filter_queryset(runs).iterator(AT_ONCE),
            scope=self.scope,
            name=f"runs-{self.now:%Y-%m-%d}",
            format=format,
        )

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, **_kwargs: Any) -> Response:
        """Let a held run pause after all: 409 if it is not held."""
        with self.changing() as run:
            self.read_body(NoBody)
        dispatch_or_defer(starting.approve, run.pk, by=self.username, now=self.now)
        return self.respond_with_run(run.pk)

    @extend_schema(request=Reason)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, **_kwargs: Any) -> Response:
        """Skip what a held run would still do, and close it: 409 if it is not held."""
        with self.changing() as run:
            given = self.read_body(Reason)
        nightly.reject_run(run.pk, **given, by=self.username, now=self.now)
        return self.respond_with_run(run.pk)

    @extend_schema(request=Reason, responses=UndoneSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, **_kwargs: Any) -> Response:
        """Reverse the pauses of a closed run; who has changed since is left alone. 409 while it is open.

        It is for a night that worked on wrong dates: mend them first, or the next night pauses the same mentors again.
        """
        actor = cast("User", request.user)
        with self.making() as refuse_unless_theirs:
            run = self.get_object()
            resumed = undo_pauses(run.pk, **self.read_body(Reason), actor=actor, now=self.now)
            refuse_unless_theirs(run)
        return Response({"resumed": len(resumed)})

    @extend_schema(request=None, responses={status.HTTP_202_ACCEPTED: RunSerializer}, parameters=[LOCATION])
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **_kwargs: Any) -> Response:
        """Try the failed items of today's closed run again: 409 if there are none, or if a run is open."""
        with self.changing() as run:
            self.read_body(NoBody)
        return self.accept(starting.retry, run.pk, now=self.now)
