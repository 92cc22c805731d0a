"""Certifications: the first contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, cast

from django.db.models import IntegerField, OuterRef, Q
from django.db.models.functions import Cast
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from certifications import recording
from certifications.api.filters import CertificationFilter
from certifications.api.serializers import (
    CertificationSerializer,
    ChangeSerializer,
    ExpiringSerializer,
    RecordSerializer,
    RenewSerializer,
)
from certifications.mentor_status import lock_mentor
from certifications.models import VALID_THROUGH, Certification, CertificationQuerySet, CertificationType
from certifications.states import StateThresholds, calendar_of, state_of
from cronjobs.models import Action, RunItem
from mentors.accounts.scope import Permission
from mentors.models import User
from mentors.rest.filters import Ordering, WordSearch, whole_number
from mentors.rest.pagination import NarrowPages
from mentors.rest.serializers import Reason, as_json, sources_of
from mentors.rest.views import ScopedViewSet, versioned

Row = dict[str, Any]
Rows = list[Row]
# What follows from the type and from today is computed, all else is read, by the source of the serializer's field.
FIELDS = sources_of(CertificationSerializer)
COMPUTED = frozenset(["type_name", "required", "lapses_on", "state", "days_left"])
COLUMNS = {name: source.replace(".", "__") for name, source in FIELDS.items() if name not in COMPUTED}


class CertificationViewSet(ScopedViewSet):
    """What mentors hold."""

    queryset = Certification.objects.all()
    serializer_class = CertificationSerializer
    filter_backends = (DjangoFilterBackend, WordSearch, Ordering)
    filterset_class = CertificationFilter
    ordering_fields = {"expires_on": (VALID_THROUGH, "id"), "id": ("id",)}
    search_description = "The beginnings of words of the mentor's name, or of the ref or the number."
    pagination_class = NarrowPages
    is_versioned = True
    permissions_by_action = {"destroy": Permission.LEAD}
    query_params = {"expiring": ("within_days",)}

    @cached_property
    def types(self) -> dict[int, CertificationType]:
        """The types of the certifications in scope, by id: there are few, and much of every row is about its type."""
        types = CertificationType.objects.filter(self.scope.types()).select_related("organisation")
        return {type.pk: type for type in types}

    @cached_property
    def calendars(self) -> dict[int, StateThresholds]:
        return {type.pk: calendar_of(type, now=self.now) for type in self.types.values()}

    def get_queryset(self) -> CertificationQuerySet:
        of_led = Q(type__in=[type.pk for type in self.types.values() if type.organisation_id in self.scope.led])
        return Certification.objects.filter(self.scope.mentors("mentor", of_led=of_led), type__in=list(self.types))

    def get_object(self) -> Certification:
        return cast("Certification", super().get_object())

    def scope_ids(self, obj: Certification) -> tuple[int, int | None]:
        return obj.mentor.organisation_id, obj.mentor.chapter_id

    def lock(self, obj: Certification) -> None:
        lock_mentor(obj.mentor)

    @property
    def user(self) -> User:
        return cast("User", self.request.user)

    def list(self, request: Request) -> Response:
        """List them: by default what expires first, first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()).values_list("pk", flat=True))
        return self.get_paginated_response(self.represent(page or []))

    @extend_schema(
        responses=ExpiringSerializer(many=True),
        parameters=[
            OpenApiParameter(
                "within_days", {"type": "integer", "minimum": 0, "maximum": 3660, "default": 30},
                description="How far ahead to look.",
            )
        ],
    )  # fmt: skip
    @action(detail=False, is_list=True, filter_backends=(DjangoFilterBackend,))
    def expiring(self, request: Request) -> Response:
        """List what is coming, soonest first; not what has a successor already."""
        within = timedelta(days=whole_number(request, "within_days", default=30, at_most=3660))
        coming = Q(pk__in=[])
        for type_id, calendar in self.calendars.items():
            coming |= Q(type=type_id, expires_on__range=(calendar.today, calendar.today + within))
        one_day = Cast(OuterRef("type__organisation__valid_through_expiry_day"), IntegerField())
        filtered = cast("CertificationQuerySet", self.filter_queryset(self.get_queryset()))
        queryset = filtered.filter(coming).in_force().unless_superseded(one_day)
        page = self.paginate_queryset(queryset.order_by("expires_on", "id").values_list("pk", flat=True))
        rows = self.represent(page or [])
        reminded = RunItem.objects.filter(
            certification__in=[row["id"] for row in rows], action=Action.REMIND, status=RunItem.Status.DONE
        )
        stages: dict[tuple[int | None, str], list[int | None]] = defaultdict(list)
        for id, expires_on, stage in reminded.order_by("id").values_list("certification", "expires_on", "stage"):
            stages[id, str(expires_on)].append(stage)
        return self.get_paginated_response(
            [row | {"stages_sent": stages[row["id"], row["expires_on"]]} for row in rows]
        )

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one."""
        return self.respond(self.get_object())

    @extend_schema(request=RecordSerializer, responses={201: CertificationSerializer})
    def create(self, request: Request) -> Response:
        """Record one. A mentor whom the night had paused is resumed if it was the last that was missing (rule 5)."""
        body = self.read_body(RecordSerializer)
        with self.making() as refuse_unless_theirs:
            certification = recording.record_certification(**body, now=self.now, actor=self.user)
            refuse_unless_theirs(certification)
        return self.respond(certification, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeSerializer)
    def update(self, request: Request, **_kwargs: Any) -> Response:
        """Change it, e.g. a later `expires_on`; resumes the mentor by rule 5."""
        with self.changing() as certification:
            [current] = self.represent([certification.pk])
            changes = self.read_body(ChangeSerializer, current=as_json(current))
            changed = recording.change_certification(certification, now=self.now, actor=self.user, **changes)
        return self.respond(changed)

    @extend_schema(request=ChangeSerializer)
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change some of it; resumes the mentor by rule 5."""
        return self.update(request, **kwargs)

    def destroy(self, request: Request, **_kwargs: Any) -> Response:
        """Remove one that was recorded by mistake; its history stays."""
        with self.changing() as certification:
            recording.remove_certification(certification)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=Reason)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, **_kwargs: Any) -> Response:
        """Revoke it: the mentor is paused at once if a required type is left uncovered (rule 9)."""
        with self.changing() as certification:
            reason = self.read_body(Reason)["reason"]
            recording.revoke_certification(certification, reason=reason, actor=self.user, now=self.now)
        return self.respond(certification)

    @extend_schema(request=RenewSerializer, responses={201: CertificationSerializer})
    @action(detail=True, methods=["post"])
    def renew(self, request: Request, **_kwargs: Any) -> Response:
        """Record its successor; the old one stays as history. Resumes the mentor by rule 5."""
        with self.changing() as certification:
            body = self.read_body(RenewSerializer)
            renewal = recording.renew_certification(certification, **body, now=self.now, actor=self.user)
        return self.respond(renewal, status.HTTP_201_CREATED)

    def respond(self, certification: Certification, status: int = 200) -> Response:
        [row] = self.represent([certification.pk])
        return versioned(Response(row, status=status), certification)

    def represent(self, ids: Sequence[int]) -> Rows:
        """Return the representation of each, in this order, with one query."""
        rows = Certification.objects.filter(pk__in=ids).order_by().values_list(*COLUMNS.values())
        by_id = {row[0]: self._complete(dict(zip(COLUMNS, row, strict=True))) for row in rows}
        return [by_id[id] for id in ids if id in by_id]

    def _complete(self, row: Row) -> Row:
        """Return the row with what is computed; dates and times as text, because a list is mostly this."""
        type, calendar = self.types[row["type"]], self.calendars[row["type"]]
        issued_on, expires_on = row["issued_on"], row["expires_on"]
        complete = row | {
            "type": type.code,
            "type_name": type.name,
            "required": type.required,
            "issued_on": issued_on.isoformat(),
            "expires_on": expires_on and expires_on.isoformat(),
            "lapses_on": expires_on and calendar.lapses_on(expires_on).isoformat(),
            "state": state_of(
                issued_on=issued_on, expires_on=expires_on, revoked_at=row["revoked_at"], calendar=calendar
            ),
            "days_left": expires_on and (expires_on - calendar.today).days,
            "created_at": _moment(row["created_at"]),
            "updated_at": _moment(row["updated_at"]),
        }
        return {name: complete[name] for name in FIELDS}


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
