"""What cannot be done as things are."""

from __future__ import annotations

from typing import ClassVar

import structlog
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

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


def log_meanwhile(error: Exception) -> None:
    """Note that somebody met this because of what another did at the same moment; often, it is a fault of ours."""
    log.warning("changed meanwhile", event_name="changed_meanwhile", error=type(error).__name__)
