"""One's own calendar of expiries: its address is made, replaced and revoked here."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from certifications.ical import AHEAD, make_feed, revoke_feed
from certifications.models import CalendarFeed
from mentors.accounts.scope import NOTHING, Scope
from mentors.desk.scoped import ReadOnlyAdmin, actor_of

NAME = "certifications_calendarfeed"


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnlyAdmin):
    """No list, because nobody sees another's: the page of this kind is one's own."""

    def seen(self, scope: Scope) -> Q:
        return NOTHING

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name=f"{NAME}_changelist"),
            path("make/", view(require_POST(self.make)), name=f"{NAME}_make"),
            path("revoke/", view(require_POST(self.revoke)), name=f"{NAME}_revoke"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Say whether there is an address, and since when."""
        self._let_in(request)
        return self._page(request)

    def make(self, request: HttpRequest) -> TemplateResponse:
        """Make an address, or another one, and show it: in this answer and never again, so there is no redirect."""
        self._let_in(request)
        token = make_feed(actor_of(request), now=timezone.now())
        site = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
        return self._page(request, address=site + reverse("calendar_feed", args=[token]))

    def revoke(self, request: HttpRequest) -> HttpResponse:
        self._let_in(request)
        if revoke_feed(actor_of(request)):
            messages.success(request, _("The address is revoked. Calendars that had it get nothing any more."))
        return HttpResponseRedirect(reverse(f"admin:{NAME}_changelist"))

    def _let_in(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, *, address: str = "") -> TemplateResponse:
        context = self.admin_site.each_context(request) | {
            "title": _("My calendar"),
            "feed": CalendarFeed.objects.filter(user=actor_of(request)).first(),
            "days": AHEAD.days,
            "address": address,
            "webcal": "webcal://" + address.partition("://")[2],
        }
        return TemplateResponse(request, "certifications/calendar_feed.html", context)
