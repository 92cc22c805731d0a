"""What cannot be done as things are."""

from __future__ import annotations

from typing import ClassVar

import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.db.models import ProtectedError
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise
from psycopg.errors import ForeignKeyViolation, RestrictViolation, UniqueViolation

log = structlog.get_logger(__name__)


class ConflictError(Exception):
    """What is asked is well formed, and cannot be done as things are: the API answers 409.

    The message gives the fact and the fix, in the language of whoever asks; `id` names what is in the way, if anything
    is.
    """

    code: ClassVar[str] = "conflict"
    message: ClassVar[StrPromise] = _("It cannot be done as things are.")

    def __init__(self, message: str = "", *, id: object = None) -> None:
        self.id = id
        super().__init__(message or str(self.message))


class ChangedMeanwhile(ConflictError):
    """Somebody else has changed or removed it, or what it belongs to, at the same moment."""

    code = "changed_meanwhile"
    message = _("Somebody has changed or removed it meanwhile: look at it again.")


RACES = (UniqueViolation, ForeignKeyViolation, RestrictViolation)


def is_race(error: Exception) -> bool:
    """Return whether what another did at the same moment explains the error, and note it; often, it is a fault of ours.

    Something is gone, is there already, or has become part of something. A check that fails is nobody else's doing.
    """
    gone_or_there = isinstance(error, (ObjectDoesNotExist, ProtectedError)) or isinstance(error.__cause__, RACES)
    # A row that is gone cannot be updated: Django raises no class of its own for it.
    if not gone_or_there and type(error) is not DatabaseError:
        return False
    log.warning("changed meanwhile", event_name="changed_meanwhile", error=type(error).__name__)
    return True
