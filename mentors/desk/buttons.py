"""What the pages of buttons share: the row that they are about, and who may press them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse

from mentors.accounts.scope import Permission
from mentors.desk.action_page import ask
from mentors.desk.scoped import ScopedAdmin, acting


class ButtonsAdmin(ScopedAdmin):
    """Rows with buttons of their own."""

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row; where it is about to be changed, after any wait for it. Raises Http404 if out of scope."""
        with transaction.atomic():
            row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        return row

    def find_for(self, request: HttpRequest, object_id: str, permission: Permission) -> Any:
        """Return the row. Raises Http404 if it is out of scope, PermissionDenied without the permission for it."""
        row = self.find(request, object_id)
        if not self.may(request, permission, row):
            raise PermissionDenied
        return row

    def ask(self, request: HttpRequest, form: forms.Form, *, act: Callable[..., str], **options: Any) -> HttpResponse:
        """Ask, as `action_page.ask` does; what is done counts only if the user may still do it when it is done."""

        def act_with_permission(**fields: Any) -> str:
            with acting(request):
                return act(**fields)

        return ask(request, form, act=act_with_permission, **options)

    def context_of(self, request: HttpRequest, *, title: str, **more: Any) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {"title": title, "opts": self.opts, **more}
