"""The desk for messages: who was told what, and what did not arrive."""

from __future__ import annotations

from django.contrib import admin

from mentors.admin import ReadOnlyAdmin
from notifications.models import Notification


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "channel", "recipient_user", "recipient_mentor", "about", "status", "error")
    list_filter = ("status", "channel", "kind")
    list_select_related = ("recipient_user", "recipient_mentor", "about")
