"""Every error in one shape: `{"type", "errors": [{"code", "detail", "attr"}]}`; a conflict also has `id`.

A domain's `ConflictError` becomes 409, Django's `ValidationError` 400, a database that is away 503. What somebody else
removes or makes at the same moment is 404 or 409. Nothing that a client sends causes a 500; a check of
the database that fails does, because it is a fault of ours.
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views import defaults
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from psycopg.errors import LockNotAvailable, QueryCanceled
from rest_framework import exceptions
from rest_framework.settings import api_settings

from mentors.conflicts import ChangedMeanwhile, ConflictError, is_race
from mentors.rest.exceptions import Conflict, DatabaseAway, TookTooLong
from mentors.rest.refusal import refuse


class Handler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        match exc:
            case ConflictError():
                return Conflict(exc)
            case IntegrityError() | ObjectDoesNotExist() if is_race(exc):
                return Conflict(ChangedMeanwhile()) if isinstance(exc, IntegrityError) else exceptions.NotFound()
            case OperationalError() | InterfaceError():
                return database_trouble(exc)
            case ValidationError():
                return exceptions.ValidationError(_by_field(exc))
        return super().convert_known_exceptions(exc)


class Formatter(ExceptionFormatter):
    def format_error_response(self, error_response: ErrorResponse) -> Any:
        body = super().format_error_response(error_response)
        if isinstance(self.exc, Conflict):
            body["id"] = self.exc.id if self.exc.id is None or isinstance(self.exc.id, int) else str(self.exc.id)
        return body


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what broke outside of the API's views: 503 if the database is away, else 500."""
    if isinstance(error := sys.exception(), (OperationalError, InterfaceError)):
        return refuse(request, database_trouble(error))
    return defaults.server_error(request)


def database_trouble(error: OperationalError | InterfaceError) -> exceptions.APIException:
    """Return what to say of it: the limits of the web server's statements (config/wsgi.py), or the server is away."""
    return TookTooLong() if isinstance(error.__cause__, (QueryCanceled, LockNotAvailable)) else DatabaseAway()


def _by_field(error: ValidationError) -> dict[str, list[exceptions.ErrorDetail]]:
    fields = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    return {
        api_settings.NON_FIELD_ERRORS_KEY if field == NON_FIELD_ERRORS else field: [
            exceptions.ErrorDetail(message, code=detail.code or "invalid")
            for detail in details
            for message in detail.messages
        ]
        for field, details in fields.items()
    }
