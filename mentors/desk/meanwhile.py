"""At the desk, what somebody else removes or makes at the same moment is said in a sentence, and is no error."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from mentors.conflicts import ChangedMeanwhile, log_meanwhile

RACES = (ChangedMeanwhile, ObjectDoesNotExist, IntegrityError)


class Meanwhile:
    """Middleware: goes back to the home page, which says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        # A row that is gone cannot be updated: Django raises no class of its own for it.
        is_race = isinstance(error, RACES) or type(error) is DatabaseError
        is_desk = request.resolver_match is not None and "admin" in request.resolver_match.app_names
        if not is_race or not is_desk or request.method != "POST":
            return None
        log_meanwhile(error)
        messages.error(request, str(ChangedMeanwhile()))
        return HttpResponseRedirect(reverse("admin:index"))
