"""The inbox of whoever is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from certifications.recheck import name_stand_ins
from mentors.accounts.scope import Permission
from mentors.models import User
from mentors.rest.filters import AskedFilterSet, YesNoFilter
from mentors.rest.openapi import examples
from mentors.rest.serializers import NoBody, represent
from mentors.rest.views import ScopedViewSet
from notifications.messages.context import gather, read_notifications
from notifications.messages.render import render_message
from notifications.models import Notification, NotificationQuerySet
from notifications.readers import leave_out_unseen
from notifications.rendered_message import as_note

Rows = list[dict[str, Any]]


@examples(
    {
        "A pause": {
            "id": 91,
            "kind": "pause",
            "subject": "Liv Moe is paused",
            "text": "Liv Moe in Oslo is paused, because this is not valid any more: likepersonkurs.",
            "organisation": "hlf",
            "mentor": 5,
            "run": "5b0c8f5e-6f0f-4f0e-9d55-0d4b6a3f7c11",
            "created_at": "2026-11-21T23:30:04Z",
            "read_at": None,
        }
    }
)
class NotificationSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(Notification.Kind.choices)
    subject = serializers.CharField()
    text = serializers.CharField()
    organisation = serializers.CharField(source="organisation.slug", help_text="The organisation's slug.")
    mentor = serializers.IntegerField(source="about_id", allow_null=True, help_text="The mentor it is about, if any.")
    run = serializers.UUIDField(source="run_id", allow_null=True, help_text="The run that told; null: no run.")
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


@examples({"Three": {"unread": 3}})
class UnreadSerializer(serializers.Serializer[Any]):
    unread = serializers.IntegerField(min_value=0)


class NotificationFilter(AskedFilterSet):
    unread = YesNoFilter(field_name="read_at", lookup_expr="isnull")

    class Meta:
        model = Notification
        fields = ()


class NotificationViewSet(ScopedViewSet):
    """What the user was told, newest first, as far as their roles of today reach."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filter_backends = (filters.DjangoFilterBackend,)
    filterset_class = NotificationFilter
    permissions_by_action = {"read": Permission.SEE}

    def get_queryset(self) -> NotificationQuerySet:
        user = cast("User", self.request.user)
        return read_notifications().inbox_of(user, scope=self.scope).order_by("-id")

    def list(self, request: Request) -> Response:
        """List them, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.represent(page or []))

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one; that does not mark it as read."""
        return Response(self.represent([self.get_object()])[0])

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, **_kwargs: Any) -> Response:
        """Mark it as read; one that is read stays as it is."""
        notification = self.get_object()
        self.read_body(NoBody)
        self.get_queryset().filter(pk=notification.pk).mark_read(now=self.now)
        return Response(self.represent([self.get_object()])[0])

    @extend_schema(responses=UnreadSerializer)
    @action(detail=False, url_path="unread-count", filter_backends=(), pagination_class=None)
    def unread_count(self, request: Request) -> Response:
        """Count what is unread."""
        return Response({"unread": self.get_queryset().unread().count()})

    def represent(self, notifications: Sequence[Notification]) -> Rows:
        messages = gather(notifications, now=self.now)
        leave_out_unseen(messages, scopes={cast("User", self.request.user).pk: self.scope})
        name_stand_ins(messages)
        rendered = [(message.notification, render_message(message)) for message in messages]
        return [
            represent(NotificationSerializer, notification, subject=note.subject, text=as_note(note))
            for notification, note in rendered
        ]
