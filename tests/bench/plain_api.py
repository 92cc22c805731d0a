"""The plain way: a `ModelViewSet`, a `ModelSerializer` and a filter, written as the tutorials do, for the same rows.

It joins what it shows, so that it asks the database no more often than it must; it knows no roles.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.viewsets import ModelViewSet

from certifications.models import Certification, CertificationQuerySet
from mentors.models import Chapter, Mentor


class FiftyAPage(PageNumberPagination):
    page_size = 50


class PlainCertificationSerializer(serializers.ModelSerializer[Certification]):
    mentor_ref = serializers.CharField(source="mentor.ref")
    mentor_name = serializers.CharField(source="mentor.name")
    chapter = serializers.IntegerField(source="mentor.chapter_id")
    type = serializers.CharField(source="type.code")
    type_name = serializers.CharField(source="type.name")
    required = serializers.BooleanField(source="type.required")  # type: ignore[assignment]
    lapses_on = serializers.DateField()
    state = serializers.SerializerMethodField()
    days_left = serializers.SerializerMethodField()

    class Meta:
        model = Certification
        fields = (
            "id", "mentor", "mentor_ref", "mentor_name", "chapter", "type", "type_name", "required", "number",
            "issued_on", "expires_on", "lapses_on", "state", "days_left", "revoked_at", "revoked_reason", "created_at",
            "updated_at",
        )  # fmt: skip

    def get_state(self, certification: Any) -> str:
        today = self._today(certification)
        if certification.revoked_at:
            return "revoked"
        if certification.issued_on > today:
            return "upcoming"
        if certification.lapses_on and certification.lapses_on <= today:
            return "expired"
        soon = today + timedelta(days=max(certification.type.organisation.reminder_days))
        return "expiring" if certification.expires_on and certification.expires_on <= soon else "valid"

    def get_days_left(self, certification: Certification) -> int | None:
        return certification.expires_on and (certification.expires_on - self._today(certification)).days  # type: ignore[return-value]

    def _today(self, certification: Certification) -> Any:
        return certification.type.organisation.local_date(timezone.now())


class PlainCertificationFilter(filters.FilterSet):
    chapter = filters.NumberFilter(field_name="mentor__chapter")
    state = filters.CharFilter(method="in_state")

    class Meta:
        model = Certification
        fields = ("mentor", "type")

    def in_state(self, queryset: CertificationQuerySet, _name: str, state: str) -> CertificationQuerySet:
        today = timezone.localdate()
        begun = queryset.filter(revoked_at=None, issued_on__lte=today)
        if state == "expired":
            return begun.filter(expires_on__lt=today)
        soon = today + timedelta(days=30)
        return (
            begun.filter(expires_on__range=(today, soon)) if state == "expiring" else begun.filter(expires_on__gt=soon)
        )


class PlainCertificationViewSet(ModelViewSet[Certification]):
    queryset = Certification.objects.with_lapses_on().select_related("mentor", "type__organisation")
    serializer_class = PlainCertificationSerializer
    filter_backends = (filters.DjangoFilterBackend,)
    filterset_class = PlainCertificationFilter
    pagination_class = FiftyAPage
    content_negotiation_class = DefaultContentNegotiation
    throttle_classes = ()


class PlainMentorSerializer(serializers.ModelSerializer[Mentor]):
    chapter = serializers.CharField(source="chapter.name")

    class Meta:
        model = Mentor
        fields = ("name", "chapter")


class PlainPublicViewSet(ModelViewSet[Mentor]):
    serializer_class = PlainMentorSerializer
    pagination_class = FiftyAPage
    content_negotiation_class = DefaultContentNegotiation
    permission_classes = (AllowAny,)
    throttle_classes = ()

    def get_queryset(self) -> Any:
        chapter = Chapter.objects.get(slug=self.kwargs["chapter"], organisation__slug=self.kwargs["organisation"])
        lapsed = Certification.objects.lapsed(on=timezone.localdate()).filter(mentor=OuterRef("pk"))
        listed = Mentor.objects.active().filter(chapter=chapter, listed=True)
        return listed.exclude(Exists(lapsed)).select_related("chapter")
