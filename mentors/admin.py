"""The desk for organisations, chapters and people. A status is never typed in: it follows from what is recorded."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest

from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from notifications.models import Preference


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """History: to be looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class MentorPreferenceInline(admin.StackedInline[Preference, Mentor]):
    """By which channel the mentor is told."""

    model = Preference
    fields = ("channel", "address")


class CoordinatorPreferenceInline(admin.StackedInline[Preference, User]):
    """How the coordinator is told, and how often."""

    model = Preference
    fields = ("mail", "language", "channel", "address")


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    inlines = (CoordinatorPreferenceInline,)


@admin.register(Organisation)
class OrganisationAdmin(admin.ModelAdmin[Organisation]):
    list_display = ("name", "slug", "timezone", "auto_pause", "auto_resume", "reminder_days")


@admin.register(Chapter)
class ChapterAdmin(admin.ModelAdmin[Chapter]):
    list_display = ("name", "organisation")
    list_filter = ("organisation",)
    prepopulated_fields = {"slug": ("name",)}
    search_fields = ("name",)


@admin.register(CoordinatorRole)
class CoordinatorRoleAdmin(admin.ModelAdmin[CoordinatorRole]):
    list_display = ("user", "duty", "organisation", "chapter")
    list_select_related = ("user", "organisation", "chapter")
    list_filter = ("organisation", "duty")
    autocomplete_fields = ("user", "chapter")


@admin.register(Mentor)
class MentorAdmin(admin.ModelAdmin[Mentor]):
    list_display = ("name", "ref", "chapter", "status", "pause_cause", "lapses_on")
    list_filter = ("organisation", "status", "pause_cause")
    list_select_related = ("chapter",)
    search_fields = ("name", "ref", "email")
    readonly_fields = ("status", "pause_cause", "pause_reason", "lapses_on")
    inlines = (MentorPreferenceInline,)
    autocomplete_fields = ("chapter",)


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "mentor", "from_status", "to_status", "cause", "reason", "actor")
    list_select_related = ("mentor", "actor")
    list_filter = ("to_status", "cause")
    search_fields = ("mentor__name", "mentor__ref")
