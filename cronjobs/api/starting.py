"""Starting runs, or setting them going again, because somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec
from uuid import UUID

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.response import Response
from structlog.contextvars import bind_contextvars

from cronjobs.api.serializers import RunSerializer
from cronjobs.dispatch import dispatch_or_defer
from cronjobs.models import CronJob, Run
from mentors.rest.views import ScopedViewSet

Options = ParamSpec("Options")
LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI,
    OpenApiParameter.HEADER,
    response=[status.HTTP_202_ACCEPTED],
    description="Where the run can be followed.",
)


class RunStarter(ScopedViewSet):
    """A viewset of what belongs to an organisation as a whole, and starts its runs."""

    def scope_ids(self, obj: CronJob | Run) -> tuple[int, None]:
        return obj.organisation_id, None

    @property
    def username(self) -> str:
        return self.request.user.get_username()

    def accept(self, start: Callable[Options, Run], *args: Options.args, **options: Options.kwargs) -> Response:
        """Start a run that goes on without us: 202, and where it can be followed."""
        run_id = dispatch_or_defer(start, *args, **options)
        address = self.request.build_absolute_uri(reverse("api:run-detail", args=[run_id]))
        return self.respond_with_run(run_id, status=status.HTTP_202_ACCEPTED, headers={"Location": address})

    def respond_with_run(
        self, run_id: UUID, *, status: int = status.HTTP_200_OK, headers: dict[str, str] | None = None
    ) -> Response:
        bind_contextvars(run_id=str(run_id))  # for the request's line in the log
        run = Run.objects.select_related("organisation").get(pk=run_id)
        return Response(RunSerializer(run).data, status=status, headers=headers)
