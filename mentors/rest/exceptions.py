"""Errors that REST framework does not have."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, status

from mentors.conflicts import ConflictError


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"

    def __init__(self, refusal: ConflictError) -> None:
        self.id = refusal.id
        super().__init__(str(refusal), refusal.code)


class PreconditionFailed(exceptions.APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "changed_meanwhile"
    default_detail = _("It has changed since you read it, and nothing was done. Read it again, then decide.")


class DatabaseAway(exceptions.APIException):
    """PostgreSQL restarts, or gave this up for another's sake: nothing was done, and soon it can be."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "try_again"
    default_detail = _("The database does not answer just now, and nothing was done. Try again in a few seconds.")
    wait = 5  # seconds, for Retry-After


class TookTooLong(exceptions.APIException):
    """A statement of the web server ran, or waited for somebody else's lock, for longer than it may."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "took_too_long"
    default_detail = _("It took too long, and nothing was done. Ask for less, or try again in a few seconds.")
    wait = 10  # seconds, for Retry-After


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_code = "length_required"
    default_detail = _("The request does not say how long its body is: send Content-Length.")


class RequestTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "request_too_large"
    default_detail = _("The request is larger than any request here needs to be.")
