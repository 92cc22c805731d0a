"""What the pages of buttons share: the row that they are about, and who may press them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from mentors.accounts.scope import Permission
from mentors.desk.scoped import ScopedAdmin


class ButtonsAdmin(ScopedAdmin):
    """Rows with buttons of their own."""

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row. Raises Http404 if it is out of scope."""
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

    def context_of(self, request: HttpRequest, *, title: str, **more: Any) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {"title": title, "opts": self.opts, **more}
