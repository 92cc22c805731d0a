"""Certifications: the first contract of the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, cast

from django.db.models import IntegerField, OuterRef, Q, QuerySet
from django.db.models.functions import Cast
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from certifications import recording
from certifications.models import VALID_THROUGH, Certification, CertificationQuerySet, CertificationType
from certifications.standing import lock_mentor
from certifications.states import Calendar, State, after, before, calendar_of, in_state, state_of
from cronjobs.models import Action, RunItem
from mentors.models import Mentor, User
from mentors.rest.filters import IdFilter, Ordering, TextFilter, WordSearch, YesNoFilter, whole_number
from mentors.rest.serializers import InScope, Reason, StrictSerializer, as_json
from mentors.rest.views import ScopedViewSet, versioned
from mentors.scope import Duty, Scope

EXAMPLE = {
    "id": 17,
    "mentor": 5,
    "mentor_ref": "M-0012",
    "mentor_name": "Liv Moe",
    "chapter": 2,
    "type": "likepersonkurs",
    "type_name": "Likepersonkurs",
    "required": True,
    "number": "A1017",
    "issued_on": "2024-12-01",
    "expires_on": "2026-12-01",
    "lapses_on": "2026-12-02",
    "state": "expiring",
    "days_left": 10,
    "revoked_at": None,
    "revoked_reason": "",
    "created_at": "2024-12-02T09:14:00Z",
    "updated_at": "2024-12-02T09:14:00Z",
}


@extend_schema_serializer(examples=[OpenApiExample("Expires soon", value=EXAMPLE)])
class CertificationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    mentor = serializers.IntegerField()
    mentor_ref = serializers.CharField(help_text="The organisation's own key for the mentor.")
    mentor_name = serializers.CharField()
    chapter = serializers.IntegerField()
    type = serializers.CharField(help_text="The code of the type.")
    type_name = serializers.CharField()
    required = serializers.BooleanField(  # type: ignore[assignment]  # a field has `required` of its own
        help_text="Whether a mentor without a valid one is paused."
    )
    number = serializers.CharField(allow_blank=True)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True, help_text="Empty: open-ended.")
    lapses_on = serializers.DateField(allow_null=True, help_text="The first day not covered (rule 1).")
    state = serializers.ChoiceField(State.choices)
    days_left = serializers.IntegerField(allow_null=True, help_text="Until it expires; negative when it has.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


@extend_schema_serializer(
    examples=[OpenApiExample("Expires soon", value=EXAMPLE | {"stages_sent": [30, 14]})],
)
class ExpiringSerializer(CertificationSerializer):
    stages_sent = serializers.ListField(
        child=serializers.IntegerField(), help_text="The reminders that were sent, in days before the expiry."
    )


def _mentors_to_look_after(scope: Scope | None) -> QuerySet[Mentor]:
    return Mentor.objects.filter(scope.mentors()) if scope else Mentor.objects.none()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "The type says for how long",
            value={"mentor": 5, "type": "likepersonkurs", "number": "A1017", "issued_on": "2026-11-20"},
        )
    ]
)
class RecordSerializer(StrictSerializer):
    mentor = InScope(_mentors_to_look_after)
    type = serializers.SlugField(max_length=50, help_text="The code of a type of the mentor's organisation.")
    number = serializers.CharField(max_length=50, allow_blank=True, required=False)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(
        allow_null=True, required=False, help_text="Left out: as the type says. Null: open-ended."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        types = CertificationType.objects.filter(organisation=attrs["mentor"].organisation_id)
        type = types.filter(code=attrs["type"]).first()
        if type is None:
            raise serializers.ValidationError(
                {"type": serializers.ErrorDetail("The organisation has no such type.", code="does_not_exist")}
            )
        return attrs | {"type": type}


@extend_schema_serializer(
    examples=[OpenApiExample("A later expiry", value={"issued_on": "2024-12-01", "expires_on": "2027-12-01"})]
)
class ChangeSerializer(StrictSerializer):
    number = serializers.CharField(max_length=50, allow_blank=True, required=False)
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(allow_null=True, help_text="Null: open-ended.")


@extend_schema_serializer(examples=[OpenApiExample("Renewed today", value={"issued_on": "2026-11-20"})])
class RenewSerializer(StrictSerializer):
    issued_on = serializers.DateField()
    expires_on = serializers.DateField(
        allow_null=True, required=False, help_text="Left out: as the type says. Null: open-ended."
    )
    number = serializers.CharField(
        max_length=50, allow_blank=True, required=False, help_text="Left out: as the old one."
    )


class CertificationFilter(filters.FilterSet):
    mentor = IdFilter(help_text="The mentor's id.")
    mentor_ref = TextFilter(field_name="mentor__ref", max_length=50, help_text="The organisation's key for the mentor.")
    chapter = IdFilter(field_name="mentor__chapter", help_text="The chapter's id.")
    type = TextFilter(method="of_type", max_length=50, help_text="The type's code.")
    required = YesNoFilter(method="of_required_type")
    state = filters.ChoiceFilter(choices=State.choices, method="in_state")
    expires_before = filters.DateFilter(method="before")
    expires_after = filters.DateFilter(method="after")

    class Meta:
        model = Certification
        fields = ()

    @property
    def types(self) -> Iterable[CertificationType]:
        return cast("Any", self.request).parser_context["view"].types.values()  # type: ignore[no-any-return]

    def of_type(self, queryset: CertificationQuerySet, _name: str, code: str) -> CertificationQuerySet:
        return queryset.filter(type__in=[type.pk for type in self.types if type.code == code])

    def of_required_type(self, queryset: CertificationQuerySet, _name: str, required: bool) -> CertificationQuerySet:
        return queryset.filter(type__in=[type.pk for type in self.types if type.required == required])

    def before(self, queryset: CertificationQuerySet, _name: str, day: date) -> CertificationQuerySet:
        return queryset.filter(before(day))

    def after(self, queryset: CertificationQuerySet, _name: str, day: date) -> CertificationQuerySet:
        return queryset.filter(after(day), expires_on__isnull=False)

    def in_state(self, queryset: CertificationQuerySet, _name: str, state: str) -> CertificationQuerySet:
        now = cast("Any", self.request).parser_context["view"].now
        return queryset.filter(in_state(State(state), types=self.types, now=now))


Rows = list[dict[str, Any]]
Stages = list[int | None]
COLUMNS = (
    "id", "mentor_id", "mentor__ref", "mentor__name", "mentor__chapter_id", "type_id", "number", "issued_on",
    "expires_on", "revoked_at", "revoked_reason", "created_at", "updated_at",
)  # fmt: skip


class CertificationViewSet(ScopedViewSet):
    """What mentors hold."""

    queryset = Certification.objects.all()
    serializer_class = CertificationSerializer
    filter_backends = (filters.DjangoFilterBackend, WordSearch, Ordering)
    filterset_class = CertificationFilter
    ordering_fields = {
        "expires_on": lambda descending: (VALID_THROUGH.desc(), "-id") if descending else (VALID_THROUGH.asc(), "id"),
        "id": lambda descending: ("-id",) if descending else ("id",),
    }
    search_description = "The beginnings of words of the mentor's name, or of the ref or the number."
    is_versioned = True
    duties = {"destroy": Duty.LEAD}
    query_params = {"expiring": ("within_days",)}

    @cached_property
    def types(self) -> dict[int, CertificationType]:
        """The types of the certifications in scope, by id: there are few, and much of every row is about its type."""
        types = CertificationType.objects.filter(self.scope.types()).select_related("organisation")
        return {type.pk: type for type in types}

    @cached_property
    def calendars(self) -> dict[int, Calendar]:
        return {type.pk: calendar_of(type, now=self.now) for type in self.types.values()}

    def get_queryset(self) -> CertificationQuerySet:
        of_led = Q(type__in=[type.pk for type in self.types.values() if type.organisation_id in self.scope.led])
        return Certification.objects.filter(self.scope.mentors("mentor", of_led=of_led))

    def get_object(self) -> Certification:
        return cast("Certification", super().get_object())

    def place_of(self, obj: Certification) -> tuple[int, int | None]:
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
    @action(detail=False, is_list=True, filter_backends=(filters.DjangoFilterBackend,))
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
        stages = self._stages_sent(rows)
        return self.get_paginated_response(
            [row | {"stages_sent": stages[row["id"], row["expires_on"]]} for row in rows]
        )

    @staticmethod
    def _stages_sent(rows: Rows) -> dict[tuple[int | None, date | None], Stages]:
        """Return the stages of the reminders sent, by certification and expiry."""
        reminded = RunItem.objects.filter(
            certification__in=[row["id"] for row in rows], action=Action.REMIND, status=RunItem.Status.DONE
        )
        stages: dict[tuple[int | None, date | None], Stages] = defaultdict(list)
        for id, expires_on, stage in reminded.order_by("id").values_list("certification", "expires_on", "stage"):
            stages[id, expires_on].append(stage)
        return stages

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one."""
        return self.respond(self.get_object())

    @extend_schema(request=RecordSerializer, responses={201: CertificationSerializer})
    def create(self, request: Request) -> Response:
        """Record one. A mentor whom the night had paused is resumed if it was the last that was missing (rule 5)."""
        body = self.read_body(RecordSerializer)
        certification = recording.record_certification(**body, now=self.now, actor=self.user)
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
        rows = Certification.objects.filter(pk__in=ids).order_by().values_list(*COLUMNS)
        by_id = {row[0]: self._row(*row) for row in rows}
        return [by_id[id] for id in ids if id in by_id]

    def _row(
        self, id: int, mentor: int, ref: str, name: str, chapter: int, type_id: int, number: str, issued_on: date,
        expires_on: date | None, revoked_at: datetime | None, revoked_reason: str, created_at: datetime,
        updated_at: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """Write what `CertificationSerializer` describes; by hand, because a list is mostly this."""
        type = self.types[type_id]
        calendar = self.calendars[type_id]
        return {
            "id": id,
            "mentor": mentor,
            "mentor_ref": ref,
            "mentor_name": name,
            "chapter": chapter,
            "type": type.code,
            "type_name": type.name,
            "required": type.required,
            "number": number,
            "issued_on": issued_on,
            "expires_on": expires_on,
            "lapses_on": expires_on and calendar.lapses_on(expires_on),
            "state": state_of(issued_on=issued_on, expires_on=expires_on, revoked_at=revoked_at, calendar=calendar),
            "days_left": expires_on and (expires_on - calendar.today).days,
            "revoked_at": revoked_at,
            "revoked_reason": revoked_reason,
            "created_at": created_at,
            "updated_at": updated_at,
        }
