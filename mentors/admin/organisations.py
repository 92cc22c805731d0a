"""Organisations, their chapters, who looks after them, and the people who log in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Q
from django.http import HttpRequest
from unfold.admin import StackedInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from mentors.desk.scoped import ScopedAdmin
from mentors.models import Chapter, CoordinatorRole, Organisation, User
from mentors.scope import Duty, Scope
from notifications.models import Preference

admin.site.unregister(Group)  # roles decide (mentors/scope.py), and Django's permissions nothing


class CoordinatorPreferenceInline(StackedInline):
    """How the coordinator is told, and how often."""

    model = Preference
    fields = ("mail", "language", "channel", "address")


@admin.register(Organisation)
class OrganisationAdmin(ScopedAdmin):
    viewing = Duty.LEAD
    list_display = ("name", "slug", "timezone", "auto_pause", "auto_resume", "reminder_days")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led()

    def place_of(self, obj: Organisation) -> tuple[int | None, int | None]:
        return obj.pk, None


@admin.register(Chapter)
class ChapterAdmin(ScopedAdmin):
    adding = changing = Duty.LEAD
    list_display = ("name", "organisation")
    list_filter = ("organisation",)
    prepopulated_fields = {"slug": ("name",)}
    search_fields = ("name",)

    def seen(self, scope: Scope) -> Q:
        return scope.own_chapters()

    def place_of(self, obj: Chapter) -> tuple[int | None, int | None]:
        return obj.organisation_id, obj.pk

    def get_prepopulated_fields(self, request: HttpRequest, obj: Chapter | None = None) -> dict[str, Any]:
        """Nothing is written for who may only look."""
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.prepopulated_fields if may_write else {}


@admin.register(CoordinatorRole)
class CoordinatorRoleAdmin(ScopedAdmin):
    viewing = adding = changing = deleting = Duty.LEAD
    list_display = ("user", "duty", "organisation", "chapter")
    list_select_related = ("user", "organisation", "chapter")
    list_filter = ("organisation", "duty")
    autocomplete_fields = ("user", "chapter")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led("organisation")

    def place_of(self, obj: CoordinatorRole) -> tuple[int | None, int | None]:
        return obj.organisation_id, None


@admin.register(User)
class PersonAdmin(ScopedAdmin, UserAdmin):  # type: ignore[misc,type-arg]  # unfold and Django differ in how they annotate
    viewing = Duty.OPERATE
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (None, {"fields": ("first_name", "last_name", "email", "is_active", "is_superuser")}),
        (None, {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("username", "first_name", "last_name", "email", "is_superuser")
    list_filter = ("is_superuser", "is_active")
    filter_horizontal = ()
    inlines = (CoordinatorPreferenceInline,)

    def seen(self, scope: Scope) -> Q:
        return Q()
