"""Chapters: the ones that the user looks after."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers

from mentors.models import Chapter
from mentors.rest.filters import Ordering
from mentors.rest.openapi import examples
from mentors.rest.views import ScopedViewSet


@examples({"Oslo": {"id": 2, "organisation": "hlf", "name": "Oslo", "slug": "oslo"}})
class ChapterSerializer(serializers.ModelSerializer[Chapter]):
    organisation = serializers.SlugRelatedField[Any](
        slug_field="slug", read_only=True, help_text="The organisation's slug."
    )

    class Meta:
        model = Chapter
        fields = ("id", "organisation", "name", "slug")
        read_only_fields = fields


class ChapterViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ScopedViewSet):
    """Where mentors are at home."""

    queryset = Chapter.objects.all()
    serializer_class = ChapterSerializer
    filter_backends = (Ordering,)
    ordering_fields = {"name": ("name", "id"), "id": ("id",)}

    def get_queryset(self) -> QuerySet[Chapter]:
        return Chapter.objects.filter(self.scope.own_chapters()).select_related("organisation")
