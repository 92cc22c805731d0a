"""The security trail, for those who lead or audit an organisation: what happened to the accounts of its people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mentors.accounts.scope import Permission, Scope
from mentors.desk.exporting import ExportMixin
from mentors.desk.long_lists import LongListAdmin, SearchPaginator
from mentors.desk.scoped import ReadOnlyAdmin
from mentors.models import CoordinatorRole, SecurityEvent


@admin.register(SecurityEvent)
class SecurityEventAdmin(ExportMixin, LongListAdmin, ReadOnlyAdmin):  # type: ignore[misc]  # as unfold annotates
    viewing = Permission.AUDIT
    change_list_template = "desk/list_with_export.html"
    file_columns: ClassVar[Mapping[str, str]] = {
        "time": "at",
        "event": "kind",
        "by_way_of": "door",
        "account": "user__username",
        "done_by": "actor__username",
        "organisation": "organisation__name",
        "address": "address",
        "device": "device",
        "token": "token",
    }
    fields = ("at", "event", "door", "account", "done_by", "organisation", "address", "device", "token")
    readonly_fields = ("event", "account", "done_by")
    related = ("user", "actor", "organisation")
    list_display = ("at", "event", "account", "done_by", "address", "device", "token", "door")
    list_filter = ("kind", "door", "at")
    sortable_by = ()
    search_fields = ("user__username",)
    search_help_text = gettext_lazy("The beginnings of words of the name, or of the login name or the e-mail address.")

    def seen(self, scope: Scope) -> Q:
        return scope.security_events()

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Paginator[Any]:
        """Count no further than one reads, searching or not: there are many rows, and no index counts them."""
        return SearchPaginator(queryset, *args, **kwargs)

    @admin.display(description=gettext_lazy("event"))
    def event(self, row: SecurityEvent) -> str:
        """Say what happened, and of a role which one."""
        said = row.get_kind_display()
        if not row.organisation_id:
            return said
        duty = CoordinatorRole.Duty(row.facts["duty"]).label
        place = row.facts.get("chapter") or row.organisation or ""
        return f"{said}: {duty}, {place}"

    @admin.display(description=gettext_lazy("account"))
    def account(self, row: SecurityEvent) -> str:
        if row.user_id is None:
            return _("nobody’s")
        return _name(row.user_id, row.user)

    @admin.display(description=gettext_lazy("done by"))
    def done_by(self, row: SecurityEvent) -> str:
        return _name(row.actor_id, row.actor) if row.actor_id else ""


def _name(pk: int, user: Any) -> str:
    """Name an account, with which its owner's name may have gone."""
    if user is None:
        return _("removed account %(id)d") % {"id": pk}
    full_name = user.get_full_name()
    return f"{full_name} ({user.get_username()})" if full_name else user.get_username()
