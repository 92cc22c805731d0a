"""Schedules: the second contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from cronjobs import nightly, starting
from cronjobs.api.cron_job_serializers import (
    ChangeCronJobSerializer,
    CreateCronJobSerializer,
    CronJobSerializer,
    ExecuteSerializer,
    LastRunSerializer,
    ResolveDriftSerializer,
)
from cronjobs.api.filters import CronJobFilter
from cronjobs.api.runs import runs_seen
from cronjobs.api.serializers import RunSerializer
from cronjobs.api.starting import LOCATION, RunStarter
from cronjobs.cron import clock_change_warnings, describe_schedule, next_slots
from cronjobs.ledger_rows import Row, Rows
from cronjobs.models import CronJob, Run
from cronjobs.schedules import jobs
from cronjobs.schedules.drift import find_drift
from mentors.accounts.scope import Permission
from mentors.record_text import EMPTY, RecordText
from mentors.rest.filters import Ordering
from mentors.rest.serializers import as_json, represent
from mentors.rest.versions import check_if_match
from mentors.rest.views import versioned


class CronJobViewSet(RunStarter):
    """When the nights of an organisation begin. A change takes effect without a restart of anything."""

    queryset = CronJob.objects.all()
    serializer_class = CronJobSerializer
    filter_backends = (DjangoFilterBackend, Ordering)
    filterset_class = CronJobFilter
    ordering_fields = {"name": ("name", "id"), "id": ("id",)}
    is_versioned = True
    permissions_by_action = dict.fromkeys(
        ("create", "update", "partial_update", "destroy", "execute", "resolve_drift"), Permission.LEAD
    )

    def get_queryset(self) -> QuerySet[CronJob]:
        return CronJob.objects.filter(self.scope.runs()).select_related("organisation")

    def get_object(self) -> CronJob:
        return cast("CronJob", super().get_object())

    def list(self, request: Request) -> Response:
        """List them by name."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.represent(page or []))

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one, with its next five runs and its last."""
        return self.respond(self.get_object())

    @extend_schema(request=CreateCronJobSerializer, responses={201: CronJobSerializer})
    def create(self, request: Request) -> Response:
        """Make one."""
        body = self.read_body(CreateCronJobSerializer)
        self.check_object_permissions(request, CronJob(organisation=body["organisation"]))
        made = jobs.create_cron_job(**body, by=self.username, now=self.now)
        return self.respond(made, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeCronJobSerializer)
    def update(self, request: Request, **_kwargs: Any) -> Response:
        """Change it: 409 while it differs from beat's own tables.

        Slots of another schedule, or before it was switched on again, are not made up.
        """
        with self.changing() as job:
            [current] = self.represent([job])
            changes = self.read_body(ChangeCronJobSerializer, current=as_json(current))
            changed = jobs.change_cron_job(job, **changes, by=self.username, now=self.now)
        return self.respond(changed)

    @extend_schema(request=ChangeCronJobSerializer)
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change some of it. Switching it off takes a `pause_note`."""
        return self.update(request, **kwargs)

    def destroy(self, request: Request, **_kwargs: Any) -> Response:
        """Remove the schedule; its runs stay."""
        with self.changing() as job:
            jobs.remove_cron_job(job)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ResolveDriftSerializer)
    @action(detail=True, methods=["post"], url_path="resolve-drift")
    def resolve_drift(self, request: Request, **_kwargs: Any) -> Response:
        """Say which schedule counts where it and beat's own tables differ: 409 if beat's cannot be taken over.

        To keep the schedule is to write it to beat again. To keep beat's is to take over its expression, its time zone
        and whether it is on.
        """
        with self.changing() as job:
            body = self.read_body(ResolveDriftSerializer)
            resolved = jobs.resolve_drift(job, keep=body["keep"], by=self.username, now=self.now)
        return self.respond(resolved)

    # Not in a transaction: the claim must be committed before work is sent to the workers and other runs are refused.
    @extend_schema(request=ExecuteSerializer, responses={202: RunSerializer}, parameters=[LOCATION])
    @action(detail=True, methods=["post"])
    def execute(self, request: Request, **_kwargs: Any) -> Response:
        """Run it now: 409 with the id of the organisation's open run while there is one. A dry run is never in the way.

        A dry run may be for any day. It writes down that somebody looked, and does nothing.
        """
        job = self.get_object()
        check_if_match(request, job)
        body = self.read_body(ExecuteSerializer, today=job.organisation.local_date(self.now))
        return self.accept(
            starting.execute_expiry_check,
            organisation=job.organisation,
            cron_job=job,
            business_date=body.get("date"),
            actions=nightly.ALL_ACTIONS,
            dry_run=body["dry_run"],
            requested_by=self.username,
            now=self.now,
        )

    @extend_schema(responses=RunSerializer(many=True))
    @action(detail=True, is_list=True, filter_backends=())
    def runs(self, request: Request, **_kwargs: Any) -> Response:
        """List its runs, newest first; dry runs and missed slots among them."""
        runs = runs_seen(self.scope).filter(cron_job=self.get_object()).newest_first()
        page = self.paginate_queryset(runs)
        return self.get_paginated_response(RunSerializer(page, many=True).data)

    def respond(self, job: CronJob, status: int = 200) -> Response:
        [row] = self.represent([job])
        return versioned(Response(row, status=status), job)

    def represent(self, rows: Sequence[CronJob]) -> Rows:
        """Return the representation of each, with one query for the last runs of all and one for their drift."""
        newest = Run.objects.real().filter(cron_job__in=rows).newest_of_each_job()
        last_runs = {run.cron_job_id: run for run in newest}
        drifted = find_drift(rows)
        return [self._represent_one(job, last_runs.get(job.pk), drifted.get(job.pk, EMPTY)) for job in rows]

    def _represent_one(self, job: CronJob, last_run: Run | None, drift: RecordText) -> Row:
        zone = ZoneInfo(job.timezone)
        coming = next_slots(job.cron_expression, job.timezone, after=self.now) if job.enabled else []
        return represent(
            CronJobSerializer,
            job,
            schedule_text=describe_schedule(job.cron_expression),
            next_runs=[{"local": slot.astimezone(zone).isoformat(), "utc": slot} for slot in coming],
            last_run=last_run and represent(LastRunSerializer, last_run),
            warnings=clock_change_warnings(job.cron_expression, job.timezone, now=self.now),
            drift=list(drift),
        )
