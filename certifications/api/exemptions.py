"""Exemptions: granted by the organisation, seen by the mentor's coordinators."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from certifications.api.serializers import TypeOfMentorSerializer, refuse_field
from certifications.models import REASONABLE, Exemption
from certifications.recording import grant_exemption
from mentors.accounts.scope import Permission
from mentors.models import User
from mentors.rest.filters import AskedFilterSet, IdFilter, Ordering
from mentors.rest.openapi import examples
from mentors.rest.views import ScopedViewSet


@examples(
    {
        "Until the next course": {
            "id": 3,
            "mentor": 5,
            "mentor_ref": "M-0012",
            "mentor_name": "Liv Moe",
            "chapter": 2,
            "type": "likepersonkurs",
            "type_name": "Likepersonkurs",
            "from_on": "2026-11-21",
            "until_on": "2026-12-31",
            "reason": "The course was cancelled.",
            "approved_by": "olav",
            "created_at": "2026-11-21T11:00:00Z",
        }
    }
)
class ExemptionSerializer(serializers.ModelSerializer[Exemption]):
    mentor_ref = serializers.CharField(source="mentor.ref", help_text="The organisation's own key for the mentor.")
    mentor_name = serializers.CharField(source="mentor.name")
    chapter = serializers.IntegerField(source="mentor.chapter_id")
    type = serializers.CharField(source="type.code", help_text="The code of the type.")
    type_name = serializers.CharField(source="type.name")
    approved_by = serializers.CharField(source="approved_by.username")

    class Meta:
        model = Exemption
        fields = (
            "id", "mentor", "mentor_ref", "mentor_name", "chapter", "type", "type_name", "from_on", "until_on",
            "reason", "approved_by", "created_at",
        )  # fmt: skip
        read_only_fields = fields


@examples(
    {
        "From today": {
            "mentor": 5,
            "type": "likepersonkurs",
            "until_on": "2026-12-31",
            "reason": "The course was cancelled.",
        }
    }
)
class GrantSerializer(TypeOfMentorSerializer):
    """What is promised, until when, and why."""

    from_on = serializers.DateField(required=False, validators=REASONABLE, help_text="Left out: today.")
    until_on = serializers.DateField(validators=REASONABLE, help_text="The last day of it.")
    reason = serializers.CharField(max_length=1000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        from_on = attrs.get("from_on") or attrs["mentor"].organisation.local_date(self.context["view"].now)
        if attrs["until_on"] < from_on:
            raise refuse_field("until_on", _("It would end before it begins."), code="invalid")
        return attrs | {"from_on": from_on}


class ExemptionFilter(AskedFilterSet):
    mentor = IdFilter(help_text="The mentor's id.")

    class Meta:
        model = Exemption
        fields = ()


class ExemptionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """Dated promises that a mentor may go on without a certification of a type."""

    queryset = Exemption.objects.all()
    serializer_class = ExemptionSerializer
    filter_backends = (filters.DjangoFilterBackend, Ordering)
    filterset_class = ExemptionFilter
    ordering_fields = {"until_on": ("until_on", "id"), "id": ("id",)}
    permissions_by_action = {"create": Permission.LEAD}

    def get_queryset(self) -> QuerySet[Exemption]:
        exemptions = Exemption.objects.select_related("mentor", "type", "approved_by")
        return exemptions.filter(self.scope.mentors("mentor"))

    def scope_ids(self, obj: Exemption) -> tuple[int, int | None]:
        return obj.mentor.organisation_id, obj.mentor.chapter_id

    @extend_schema(request=GrantSerializer, responses={201: ExemptionSerializer})
    def create(self, request: Request) -> Response:
        """Grant one. Resumes the mentor by rule 5."""
        body = self.read_body(GrantSerializer)
        with self.making() as refuse_unless_theirs:
            exemption = grant_exemption(**body, approved_by=cast("User", request.user), now=self.now)
            refuse_unless_theirs(exemption)
        return Response(self.get_serializer(exemption).data, status=status.HTTP_201_CREATED)
