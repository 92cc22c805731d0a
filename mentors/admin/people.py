"""Mentors and what happened to them. A status is never typed in: it follows from what is recorded."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from unfold.admin import StackedInline

from mentors.desk.scoped import ReadOnlyAdmin, ScopedAdmin
from mentors.models import Mentor, StatusChange
from mentors.scope import Duty, Scope
from notifications.models import Preference


class MentorPreferenceInline(StackedInline):
    """By which channel the mentor is told."""

    model = Preference
    fields = ("channel", "address")


@admin.register(Mentor)
class MentorAdmin(ScopedAdmin):
    adding = changing = Duty.COORDINATE
    list_display = ("name", "ref", "chapter", "status", "pause_cause", "lapses_on")
    list_filter = ("organisation", "status", "pause_cause")
    list_select_related = ("chapter",)
    search_fields = ("name", "ref", "email")
    readonly_fields = ("status", "pause_cause", "pause_reason", "lapses_on")
    inlines = (MentorPreferenceInline,)
    autocomplete_fields = ("chapter",)

    def seen(self, scope: Scope) -> Q:
        return scope.mentors()

    def place_of(self, obj: Mentor) -> tuple[int | None, int | None]:
        return obj.organisation_id, obj.chapter_id


@admin.register(StatusChange)
class StatusChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "mentor", "from_status", "to_status", "cause", "reason", "actor")
    list_select_related = ("mentor", "actor")
    list_filter = ("to_status", "cause")
    search_fields = ("mentor__name", "mentor__ref")

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("mentor")
