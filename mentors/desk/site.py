"""The desk itself: who may come in."""

from __future__ import annotations

from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from mentors.desk.scoped import scope_of
from mentors.scope import Duty


class Desk(UnfoldAdminSite):
    """The admin for whoever has a role, whatever `is_staff` says. Django's own permissions decide nothing here."""

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and scope_of(request).may(Duty.SEE))
