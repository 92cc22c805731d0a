"""The desk for messages: who was told what, and what did not arrive."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from mentors.accounts.scope import Permission, Scope
from mentors.desk.scoped import OperationsAdmin, ReadOnlyAdmin, ScopedAdmin
from mentors.models import LANGUAGES
from notifications import dispatch
from notifications.delivery import send_again
from notifications.messages.previews import previews
from notifications.models import Answer, BadAddress, Notification, Preference, Webhook
from notifications.signing import webhook_secret


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "channel", "recipient_user", "recipient_mentor", "about", "status", "why")
    list_filter = ("status", "channel", "kind")
    linked_lookups = ("organisation__id__exact",)  # the home page of one of several organisations
    list_select_related = ("recipient_user", "recipient_mentor", "about")
    change_list_template = "notifications/change_list.html"
    actions = ("send_again",)
    exclude = ("error",)
    readonly_fields = ("why",)

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("about")

    @admin.display(description=gettext_lazy("error"), ordering="error")
    def why(self, row: Notification) -> str:
        """Say why it did not arrive."""
        return str(row.error)

    @admin.action(description=gettext_lazy("Send again what was not delivered"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        """Queue the dead letters among those chosen; the others stay as they are."""
        count = send_again(queryset.select_related("organisation"), now=timezone.now())
        dispatch.deliver_after_commit()
        said = ngettext("%(count)d message will be sent again.", "%(count)d messages will be sent again.", count)
        messages.success(request, said % {"count": count})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.previews)
        return [path("previews/", view, name="notifications_notification_previews"), *super().get_urls()]

    def previews(self, request: HttpRequest) -> TemplateResponse:
        """Show the messages of all kinds, of invented people, as they are read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        kind, language = request.GET.get("kind", ""), request.GET.get("language") or get_language()
        if language not in dict(LANGUAGES):
            language = LANGUAGES[0][0]
        context = self.admin_site.each_context(request) | {
            "title": _("How messages look"),
            "opts": self.opts,
            "previews": previews(languages=[language], kind=kind),
            "languages": LANGUAGES,
            "language": language,
            "kinds": Notification.Kind.choices,
            "kind": kind,
        }
        return TemplateResponse(request, "notifications/previews.html", context)


@admin.register(Preference)
class PreferenceAdmin(ScopedAdmin):
    viewing = Permission.OPERATE
    list_display = ("__str__", "channel", "mail", "language")
    list_filter = ("channel", "mail")
    list_select_related = ("mentor", "user")
    search_fields = ("mentor__name", "mentor__ref", "user__username")
    autocomplete_fields = ("mentor", "user")

    def seen(self, scope: Scope) -> Q:
        return Q()


@admin.register(BadAddress)
class BadAddressAdmin(OperationsAdmin):
    """Who removes one lets messages go there again; if they come back, it is marked anew."""

    list_display = ("address", "channel", "reason", "at")
    list_filter = ("channel",)
    search_fields = ("address",)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may(request, Permission.OPERATE)


@admin.register(Webhook)
class WebhookAdmin(ScopedAdmin):
    viewing = Permission.OPERATE
    fields = ("organisation", "url", "secret", "secret_version", "gone_at")
    list_display = ("organisation", "url", "gone_at")
    list_select_related = ("organisation",)
    readonly_fields = ("secret", "gone_at")
    actions = ("resume",)

    def seen(self, scope: Scope) -> Q:
        return Q()

    @admin.display(description=gettext_lazy("secret"))
    def secret(self, webhook: Webhook) -> str:
        return webhook_secret(webhook) if webhook.pk else ""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if "url" in form.changed_data:
            obj.gone_at = None
        super().save_model(request, obj, form, change)

    @admin.action(description=gettext_lazy("Send to the app again, which had said that it is gone"))
    def resume(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        queryset.update(gone_at=None)


@admin.register(Answer)
class AnswerAdmin(ReadOnlyAdmin):
    list_display = ("at", "mentor", "choice")
    list_filter = ("choice",)
    list_select_related = ("mentor",)
    search_fields = ("mentor__name", "mentor__ref")

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("mentor")
