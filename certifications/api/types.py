"""Certification types: what there is to hold."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers

from certifications.models import CertificationType
from mentors.rest.filters import Ordering
from mentors.rest.openapi import examples
from mentors.rest.views import ScopedViewSet


@examples(
    {
        "A required type": {
            "id": 1,
            "organisation": "hlf",
            "code": "likepersonkurs",
            "name": "Likepersonkurs",
            "required": True,
            "validity_months": 24,
            "grace_days": 0,
        }
    }
)
class CertificationTypeSerializer(serializers.ModelSerializer[CertificationType]):
    organisation = serializers.SlugRelatedField[Any](
        slug_field="slug", read_only=True, help_text="The organisation's slug."
    )

    class Meta:
        model = CertificationType
        fields = ("id", "organisation", "code", "name", "required", "validity_months", "grace_days")
        read_only_fields = fields


class CertificationTypeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """What can be held."""

    queryset = CertificationType.objects.all()
    serializer_class = CertificationTypeSerializer
    filter_backends = (Ordering,)
    ordering_fields = {"code": ("code", "id"), "id": ("id",)}

    def get_queryset(self) -> QuerySet[CertificationType]:
        return CertificationType.objects.filter(self.scope.types()).select_related("organisation")
