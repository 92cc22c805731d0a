"""What a channel is: the one interface between a message and the many ways in which it can reach somebody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from mentors.record_text import RecordText
from notifications.rendered_message import RenderedMessage


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Where a person, or operations, can be reached; what is unknown is empty."""

    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    chosen: str = field(default="", repr=False)  # the address that goes with the channel they chose
    app_url: str = ""  # of the organisation's own app
    app_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """One message, written and addressed."""

    address: str = field(repr=False)
    rendered: RenderedMessage = field(repr=False)
    sender: str  # the organisation's name
    message_id: str  # the same at every attempt, so that a repeat can be recognised; unique to the message
    written_at: datetime
    secrets: tuple[str, ...] = field(default=(), repr=False)  # shared with the address for signing, the newest first
    unsubscribe_url: str = ""
    payload: Callable[[], dict[str, Any]] = dict  # JSON: what a program needs to know of the message, made if asked for


Send = Callable[[Envelope], None]


class Fault(models.TextChoices):
    """Whose fault it is that a message does not leave. What is not the recipient's is tried later, or another way."""

    RECIPIENT = "recipient", _("the recipient's")
    OURSELVES = "ourselves", _("ours")
    PROVIDER = "provider", _("the provider's")


class Undelivered(Exception):
    """A message did not leave. The reason names no recipient: it is kept, and shown."""

    def __init__(self, reason: RecordText, *, fault: Fault = Fault.PROVIDER) -> None:
        self.reason = reason
        self.fault = fault
        super().__init__(reason.in_english())


class Refused(Undelivered):
    """Refused for good: trying again the same way would be of no use.

    With `bad_address` nobody is there; with `host_is_gone` the whole host wants nothing any more.
    """

    def __init__(
        self,
        reason: RecordText,
        *,
        fault: Fault = Fault.RECIPIENT,
        bad_address: bool = False,
        host_is_gone: bool = False,
    ) -> None:
        self.bad_address = bad_address
        self.host_is_gone = host_is_gone
        super().__init__(reason, fault=fault)


class TryLater(Undelivered):
    """Not now; the message may pass later, not before `after_seconds` if the host said so."""

    def __init__(self, reason: RecordText, *, after_seconds: float = 0, fault: Fault = Fault.PROVIDER) -> None:
        self.after_seconds = after_seconds
        super().__init__(reason, fault=fault)


class Unreachable(Undelivered):
    """The host does not answer, or hung up: no message of the batch will pass on this connection."""


class Channel:
    """A way to reach people. A file of `notifications/channels/` with a `CHANNEL` is all that a new one takes."""

    label: ClassVar[StrPromise]
    is_personal: ClassVar[bool] = True  # somebody may choose it
    keeps_hours: ClassVar[bool] = True  # its messages wait for the organisation's sending hours

    def is_set_up(self) -> bool:
        """Whether this installation has what the channel needs."""
        return True

    def address_of(self, recipient: Recipient) -> str:
        """Return where the channel reaches the recipient; empty: it does not."""
        raise NotImplementedError

    def host_of(self, address: str) -> str:
        """Return the host that the message is handed to, by which its rate is limited."""
        raise NotImplementedError

    def connect(self) -> AbstractContextManager[Send]:
        """Open what the messages of a batch to one host share; what it yields sends one of them.

        Entering may raise Unreachable; sending any of the three above. An envelope that was sent without an error has
        been taken over by the host.
        """
        raise NotImplementedError
