"""The public list of a chapter's mentors."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from certifications.coverage import public_names
from certifications.pages import FOR_EVERYBODY
from mentors.models import Chapter, Mentor
from mentors.rest.openapi import examples
from mentors.rest.throttles import PerAddress
from mentors.rest.views import ScopedViewSet

SLUG = {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 200}


@examples({"One of them": {"name": "Liv Moe", "chapter": "Oslo"}})
class PublicMentorSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    chapter = serializers.CharField(help_text="The chapter's name.")


@method_decorator(conditional_page, name="dispatch")
class PublicMentorViewSet(ScopedViewSet):
    """The public page as data: no token, and nothing but names. Answered 304 while the content is what it was."""

    queryset = Mentor.objects.none()
    serializer_class = PublicMentorSerializer
    authentication_classes = ()
    permission_classes: Any = (AllowAny,)
    throttle_classes = (PerAddress,)
    filter_backends = ()

    @extend_schema(
        responses={200: PublicMentorSerializer(many=True), 304: None},
        parameters=[
            OpenApiParameter("organisation", SLUG, OpenApiParameter.PATH, description="Its slug."),
            OpenApiParameter("chapter", SLUG, OpenApiParameter.PATH, description="Its slug."),
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The `ETag` that is at hand."),
            OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Of the content."),
            OpenApiParameter("Cache-Control", str, OpenApiParameter.HEADER, response=[200, 304]),
            OpenApiParameter("X-Robots-Tag", str, OpenApiParameter.HEADER, response=[200], description="`noindex`."),
        ],
        tags=["public"],
    )
    def list(self, request: Request, organisation: str, chapter: str) -> Response:
        """List the names on the public page of a chapter: active, listed, and nothing lapsed today (rule 11)."""
        found = get_object_or_404(Chapter.objects.at(organisation=organisation, chapter=chapter))
        names: Any = public_names(chapter=found, on=found.organisation.local_date(self.now))
        page = self.paginate_queryset(names)
        response = self.get_paginated_response([{"name": name, "chapter": found.name} for name in page or []])
        patch_cache_control(response, **FOR_EVERYBODY)
        response["X-Robots-Tag"] = "noindex"  # what search engines may have is the page
        return response
