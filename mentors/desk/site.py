"""The admin site of the desk: who has access, and its sign-in pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

from django.contrib.admin.exceptions import DisallowedModelAdminToField
from django.contrib.auth.views import PasswordChangeView
from django.core.paginator import InvalidPage
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.sites import UnfoldAdminSite

from mentors.accounts.passwords import PasswordOnly
from mentors.accounts.scope import Permission
from mentors.accounts.second_factor import is_satisfied
from mentors.desk import second_factor
from mentors.desk.scoped import scope_of
from mentors.desk.sign_in import CodeView, sign_in_view

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# A NUL or a number that no column holds, a field that nothing refers to, a page of a search that is not there
UNREADABLE = (DataError, DisallowedModelAdminToField, InvalidPage)


class OwnPasswordForm(PasswordOnly, AdminOwnPasswordChangeForm):
    """One's own password, with the one of before."""


class DeskSite(UnfoldAdminSite):
    """The admin for whoever has a role, whatever `is_staff` says. Django's own permissions decide nothing here."""

    def has_permission(self, request: HttpRequest) -> bool:
        may_see = request.user.is_active and scope_of(request).may(Permission.SEE)
        return bool(may_see and is_satisfied(request.user))

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        request.current_app = self.name
        context = self.each_context(request) | {"title": _("Log in"), "app_path": request.get_full_path()}
        answer: HttpResponse = sign_in_view(context | (extra_context or {}))(request)
        return answer

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context=self.each_context(request) | (extra_context or {}),
        )
        return cast("TemplateResponse", view(request))

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Show the view to who has access, and a page of the desk instead of what nobody can read."""
        shown = super().admin_view(view, cacheable)

        @wraps(shown)
        def readable(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return shown(request, *args, **kwargs)
            except UNREADABLE:
                context = self.each_context(request) | {"title": _("This cannot be read")}
                return TemplateResponse(request, "desk/unreadable.html", context, status=HTTPStatus.BAD_REQUEST)

        return cast("View", readable)

    def get_urls(self) -> list[URLPattern]:  # type: ignore[override]  # as unfold annotates
        """Leave out the redirect to a row's public page: no row has one, and it answers for every table."""
        return [one for one in super().get_urls() if getattr(one, "name", "") != "view_on_site"]

    def extra_urls(self) -> list[URLPattern]:
        return [
            path("login/code/", CodeView.as_view(), name="login_code"),
            path("second-factor/device/", second_factor.DeviceView.as_view(), name="second_factor_device"),
            path(
                "second-factor/codes/", self.admin_view(second_factor.CodesView.as_view()), name="second_factor_codes"
            ),
            path("second-factor/remove/", self.admin_view(second_factor.remove), name="second_factor_remove"),
            path("second-factor/", self.admin_view(second_factor.show), name="second_factor"),
        ]

    def _get_account_links(self, request: HttpRequest) -> list[dict[str, Any]]:
        calendar = {"title": _("My calendar"), "link": reverse("admin:certifications_calendarfeed_changelist")}
        return [
            *([calendar] if scope_of(request).may(Permission.COORDINATE) else []),
            {"title": _("Change password"), "link": reverse("admin:password_change")},
            {"title": _("Second factor"), "link": reverse("admin:second_factor")},
            {"title": _("Where you are logged in"), "link": reverse("own_access")},
        ]
