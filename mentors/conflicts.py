"""What cannot be done as things are."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise


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
