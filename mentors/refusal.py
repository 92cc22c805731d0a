"""What cannot be done as things are."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """What is asked is well formed, and cannot be done as things are: the API answers 409.

    The message gives the fact and the fix; `id` names what is in the way, if anything is.
    """

    code: ClassVar[str] = "conflict"

    def __init__(self, message: str = "", *, id: object = None) -> None:
        self.id = id
        super().__init__(message or " ".join((self.__doc__ or "").split()))
