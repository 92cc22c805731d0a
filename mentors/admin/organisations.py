"""Organisations, their chapters, who looks after them, and the people who log in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import StackedInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from mentors.accounts.passwords import PasswordOnly
from mentors.accounts.scope import Permission, Scope
from mentors.accounts.second_factor import reset_second_factor
from mentors.admin.inviting import F, InvitationButtons, InviteButton, button
from mentors.desk.action_page import AskForm
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.merging import MergingModelForm
from mentors.desk.scoped import ScopedAdmin, actor_of
from mentors.models import Chapter, CoordinatorRole, Invitation, Organisation, User
from notifications.models import Preference

admin.site.unregister(Group)  # roles decide (mentors/accounts/scope.py), and Django's permissions nothing


def badge(**options: Any) -> Callable[[F], F]:
    """Make a method a column of coloured labels, as unfold does, whose own annotations know no lazy texts."""
    decorate: Callable[[F], F] = display(**options)
    return decorate


class CoordinatorPreferenceInline(StackedInline):
    """How the coordinator is told, and how often."""

    model = Preference
    form = MergingModelForm
    fields = ("mail", "language", "channel", "address")


@admin.register(Organisation)
class OrganisationAdmin(ScopedAdmin):
    viewing = Permission.LEAD
    list_display = ("name", "slug", "timezone", "auto_pause", "auto_resume", "reminder_days")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led()

    def scope_ids(self, obj: Organisation) -> tuple[int | None, int | None]:
        return obj.pk, None


@admin.register(Chapter)
class ChapterAdmin(ScopedAdmin):
    adding = changing = Permission.LEAD
    list_display = ("name", "organisation")
    list_filter = ("organisation",)
    prepopulated_fields = {"slug": ("name",)}
    search_fields = ("name",)

    def seen(self, scope: Scope) -> Q:
        return scope.own_chapters()

    def scope_ids(self, obj: Chapter) -> tuple[int | None, int | None]:
        return obj.organisation_id, obj.pk

    def get_readonly_fields(self, request: HttpRequest, obj: Chapter | None = None) -> tuple[str, ...]:
        """A chapter stays with its organisation, as its coordinators' roles do."""
        return ("organisation",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Chapter | None = None) -> dict[str, Any]:
        """Nothing is written for who may only look."""
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.prepopulated_fields if may_write else {}


@admin.register(CoordinatorRole)
class CoordinatorRoleAdmin(InviteButton):
    """Whoever leads an organisation invites; to choose among all users of the installation is for operations."""

    viewing = changing = deleting = Permission.LEAD
    fields = ("user", "organisation", "duty", "chapter")
    list_display = ("user", "full_name", "duty", "organisation", "chapter", "state")
    list_select_related = ("user", "organisation", "chapter")
    list_filter = ("organisation", "duty")
    autocomplete_fields = ("user", "chapter")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led("organisation")

    def scope_ids(self, obj: CoordinatorRole) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def get_fields(self, request: HttpRequest, obj: CoordinatorRole | None = None) -> tuple[str, ...]:
        return ("username", "organisation", "duty", "chapter") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: CoordinatorRole | None = None) -> tuple[str, ...]:
        """A role stays with its user: another user gets another role."""
        return ("username", "organisation") if obj else ()

    @admin.display(description=gettext_lazy("user"))
    def username(self, role: CoordinatorRole) -> str:
        """Name the user without a link, which only operations may follow."""
        return role.user.get_username()

    @admin.display(description=gettext_lazy("name"), ordering="user__last_name")
    def full_name(self, role: CoordinatorRole) -> str:
        return role.user.get_full_name()

    @badge(description=gettext_lazy("account"), label={"in use": "success", "closed": "danger"})
    def state(self, role: CoordinatorRole) -> tuple[str, str]:
        """Say whether the account is open."""
        return ("in use", _("in use")) if role.user.is_active else ("closed", _("closed"))


@admin.register(Invitation)
class InvitationAdmin(InvitationButtons):
    """Roles that are offered and not accepted yet; to delete one is to withdraw it."""

    viewing = deleting = Permission.LEAD
    fields = readonly_fields = ("email", "full_name", "duty", "organisation", "chapter", "sent_at")
    list_display = ("email", "full_name", "duty", "organisation", "chapter", "sent_at", "state")
    list_select_related = ("user", "organisation", "chapter")
    list_filter = ("organisation", "duty")

    def seen(self, scope: Scope) -> Q:
        return scope.organisations_led("organisation")

    def scope_ids(self, obj: Invitation) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        return False  # one invites by the button

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=gettext_lazy("E-mail"), ordering="user__email")
    def email(self, invitation: Invitation) -> str:
        return invitation.user.email

    @admin.display(description=gettext_lazy("name"), ordering="user__last_name")
    def full_name(self, invitation: Invitation) -> str:
        return invitation.user.get_full_name()

    @badge(description=gettext_lazy("link"), label={"open": "success", "too old": "warning"})
    def state(self, invitation: Invitation) -> tuple[str, str]:
        """Say whether the link is good still."""
        ends = invitation.sent_at + timedelta(days=settings.INVITATION_DAYS)
        return ("open", _("open")) if ends > timezone.now() else ("too old", _("too old"))


class OthersPasswordForm(PasswordOnly, AdminPasswordChangeForm):
    """A password that operations choose, or take away."""


@admin.register(User)
class PersonAdmin(ButtonsAdmin, UserAdmin):  # type: ignore[misc,type-arg]  # unfold and Django differ in how they annotate
    viewing = Permission.OPERATE
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = OthersPasswordForm
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (None, {"fields": ("first_name", "last_name", "email", "is_active", "is_superuser")}),
        (None, {"fields": ("last_login", "date_joined")}),
    )
    list_display = ("username", "first_name", "last_name", "email", "is_superuser")
    list_filter = ("is_superuser", "is_active")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    inlines = (CoordinatorPreferenceInline,)
    actions_detail: Any = ("reset_second_factor",)

    def seen(self, scope: Scope) -> Q:
        return Q()

    def lock(self, obj: User) -> None:
        """Lock how they are told too, which they choose by a link."""
        super().lock(obj)
        Preference.objects.select_for_update().filter(user=obj).first()

    def has_operate_permission(self, request: HttpRequest, _object_id: object = None) -> bool:
        return self.may(request, Permission.OPERATE)

    @button(description=gettext_lazy("Reset the second factor"), permissions=["operate"], icon="phonelink_erase")
    def reset_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to remove the app and the codes of somebody who has lost them, and do it."""
        user: User = self.find(request, object_id)

        def act() -> str:
            if not reset_second_factor(user, actor=actor_of(request)):
                return _("There was no second factor.")
            self.log_change(request, user, _("Second factor reset"))
            return _("The second factor is removed.")

        explanation = _("Make sure who is asking: at the next login the password is enough to set up a new app.")
        context = self.context_of(request, title=_("Reset the second factor"), explanation=explanation)
        back = reverse("admin:mentors_user_change", args=[user.pk])
        form = AskForm(request.POST if request.method == "POST" else None)
        return self.ask(request, form, context=context, act=act, back=back)
