"""Every error in one shape: `{"type", "errors": [{"code", "detail", "attr"}]}`; a conflict also has `id`.

A domain's `ConflictError` becomes 409, Django's `ValidationError` 400. Nothing that a client sends causes a 500.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions
from rest_framework.settings import api_settings

from mentors.conflicts import ConflictError
from mentors.rest.exceptions import Conflict, RequestTooLarge


class Handler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, ConflictError):
            return Conflict(exc)
        if isinstance(exc, RequestDataTooBig):
            return RequestTooLarge()
        if isinstance(exc, ValidationError):
            return exceptions.ValidationError(_by_field(exc))
        return super().convert_known_exceptions(exc)


class Formatter(ExceptionFormatter):
    def format_error_response(self, error_response: ErrorResponse) -> Any:
        body = super().format_error_response(error_response)
        if isinstance(self.exc, Conflict):
            body["id"] = self.exc.id if self.exc.id is None or isinstance(self.exc.id, int) else str(self.exc.id)
        return body


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
