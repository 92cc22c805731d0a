"""An error that is answered outside of the API's views: by a middleware, by a page, or because something broke."""

from __future__ import annotations

from math import ceil

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions, status


def refuse(request: HttpRequest, error: exceptions.APIException) -> HttpResponse:
    """Answer with the error: to the API's clients in the shape of all others, to people in a sentence."""
    wait = getattr(error, "wait", None)
    headers = {"Retry-After": str(ceil(wait))} if wait else {}
    if request.path_info.startswith("/api/"):
        kind = "server_error" if error.status_code >= status.HTTP_500_INTERNAL_SERVER_ERROR else "client_error"
        detail = {"code": error.get_codes(), "detail": str(error.detail), "attr": None}
        return JsonResponse({"type": kind, "errors": [detail]}, status=error.status_code, headers=headers)
    return HttpResponse(
        str(error.detail), status=error.status_code, headers=headers, content_type="text/plain; charset=utf-8"
    )
