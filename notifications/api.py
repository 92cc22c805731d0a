"""The inbox of whoever is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from certifications.recheck import name_stand_ins
from mentors.accounts.scope import Permission
from mentors.models import User
from mentors.rest.filters import AskedFilterSet, YesNoFilter
from mentors.rest.serializers import NoBody
from mentors.rest.views import ScopedViewSet
from notifications.messages.context import Message, gather, read_notifications
from notifications.messages.render import render_message
from notifications.messages.rendered_message import as_note
from notifications.models import Notification, NotificationQuerySet


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A pause",
            value={
                "id": 91,
                "kind": "pause",
                "subject": "Liv Moe is paused",
                "text": "Liv Moe in Oslo is paused, because this is not valid any more: likepersonkurs.",
                "organisation": "hlf",
                "mentor": 5,
                "run": "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11",
                "created_at": "2026-11-21T23:30:04Z",
                "read_at": None,
            },
        )
    ]
)
class NotificationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(Notification.Kind.choices)
    subject = serializers.CharField()
    text = serializers.CharField()
    organisation = serializers.CharField(help_text="The organisation's slug.")
    mentor = serializers.IntegerField(allow_null=True, help_text="The mentor it is about, if any.")
    run = serializers.UUIDField(allow_null=True, help_text="The run that told; null: no run.")
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(examples=[OpenApiExample("Three", value={"unread": 3})])
class UnreadSerializer(serializers.Serializer[Any]):
    unread = serializers.IntegerField(min_value=0)


class NotificationFilter(AskedFilterSet):
    unread = YesNoFilter(field_name="read_at", lookup_expr="isnull")

    class Meta:
        model = Notification
        fields = ()


class NotificationViewSet(ScopedViewSet):
    """What the user was told, newest first. Everybody has their own, whatever their roles."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filter_backends = (filters.DjangoFilterBackend,)
    filterset_class = NotificationFilter
    permissions_by_action = {"read": Permission.SEE}

    def get_queryset(self) -> NotificationQuerySet:
        return read_notifications().inbox_of(cast("User", self.request.user)).order_by("-id")

    def list(self, request: Request) -> Response:
        """List them, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(list(self._rows(page or [])))

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one; that does not mark it as read."""
        return Response(self._rows([self.get_object()])[0])

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, **_kwargs: Any) -> Response:
        """Mark it as read; one that is read stays as it is."""
        notification = self.get_object()
        self.read_body(NoBody)
        self.get_queryset().filter(pk=notification.pk).mark_read(now=self.now)
        return Response(self._rows([self.get_object()])[0])

    @extend_schema(responses=UnreadSerializer)
    @action(detail=False, url_path="unread-count", filter_backends=(), pagination_class=None)
    def unread_count(self, request: Request) -> Response:
        """Count what is unread."""
        return Response({"unread": self.get_queryset().unread().count()})

    def _rows(self, notifications: Sequence[Notification]) -> Sequence[dict[str, Any]]:
        messages = gather(notifications, now=self.now)
        name_stand_ins(messages)
        return [_row(message) for message in messages]


def _row(message: Message) -> dict[str, Any]:
    """Write what `NotificationSerializer` describes."""
    notification, rendered = message.notification, render_message(message)
    return {
        "id": notification.pk,
        "kind": notification.kind,
        "subject": rendered.subject,
        "text": as_note(rendered),
        "organisation": notification.organisation.slug,
        "mentor": notification.about_id,
        "run": notification.run_id,
        "created_at": notification.created_at,
        "read_at": notification.read_at,
    }
