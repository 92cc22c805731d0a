"""How large a request may be: refused by the length that it announces, before anything of it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase

from mentors.accounts.scope import Permission
from mentors.desk.scoped import scope_of
from mentors.rest.exceptions import LengthRequired, RequestTooLarge
from mentors.rest.refusal import refuse

ROSTERS = "/admin/certifications/rosterupload/import/"  # where nginx lets large ones through too


class BodyLimit:
    """Middleware, before all that may read a body. Who may import a roster may send a large one there; nobody else.

    Who that is, is asked as the first of all middlewares' `process_view`: the session is known then, and the check
    against forged forms, which reads the body, comes later.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "Transfer-Encoding" in request.headers:
            return refuse(request, LengthRequired())
        limit = settings.ROSTER_MAX_BYTES if _is_roster(request) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if _length(request) > limit:
            return refuse(request, RequestTooLarge())
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponseBase | None:
        if _length(request) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return None
        may_import = admin.site.has_permission(request) and scope_of(request).may(Permission.LEAD)
        return None if may_import else refuse(request, RequestTooLarge())


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0  # as Django itself takes it


def _is_roster(request: HttpRequest) -> bool:
    return request.path_info == ROSTERS
