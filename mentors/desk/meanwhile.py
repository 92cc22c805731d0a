"""At the desk, what somebody else removes or makes at the same moment is said in a sentence, and is no error."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from mentors.conflicts import ChangedMeanwhile, is_race


class Meanwhile:
    """Middleware: goes back to the home page, which says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        is_desk = request.resolver_match is not None and "admin" in request.resolver_match.app_names
        if not is_desk or request.method != "POST":
            return None
        if not isinstance(error, ChangedMeanwhile) and not is_race(error):
            return None
        messages.error(request, str(ChangedMeanwhile()))
        return HttpResponseRedirect(reverse("admin:index"))
