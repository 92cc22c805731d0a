"""Optimistic locking: an `ETag` names the version of what can be changed, `If-Match` says which one was read.

A version is the moment of the row's last change. What is merely computed from it (a state, the days left) has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from django.utils.http import parse_etags
from rest_framework.request import Request

from mentors.rest.exceptions import PreconditionFailed


class Versioned(Protocol):
    pk: Any
    updated_at: datetime


def etag_of(row: Versioned) -> str:
    return etag(row.pk, row.updated_at)


def etag(pk: Any, updated_at: datetime) -> str:
    return f'"{pk}-{int(updated_at.timestamp() * 1_000_000):x}"'


def check_if_match(request: Request, row: Versioned) -> None:
    """Raise PreconditionFailed unless the row, locked by the caller, is what `If-Match` names; without it, all is well.

    A weak tag never matches (RFC 9110, section 13.1.1).
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return
    if etag_of(row) not in parse_etags(header):
        raise PreconditionFailed
