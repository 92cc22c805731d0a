"""What SMS and chat share: each goes through one gateway, an Apprise URL of this installation's with a place for the
recipient's address.

The host and the secrets are the installation's. All that comes from a recipient is the address, and it cannot leave
its place in the URL: what is not an address of the channel's kind is not one, and what is goes in quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import quote

from django.conf import settings

from notifications import record_text
from notifications.channel import (
    Channel,
    Envelope,
    Fault,
    Recipient,
    Refused,
    Send,
    TryLater,
    Undelivered,
    Unreachable,
)
from notifications.rendered_message import RenderedMessage

PLACE = "{to}"
# A host of its own, and the recipient somewhere behind it.
HAS_PLACE = re.compile(r"[a-z][\w+.-]*://[^/?#{}]+[/?].*\{to\}.*", re.IGNORECASE)
SPOKEN = re.compile(r"call|voice|tts", re.IGNORECASE)

# Apprise says only whether it worked. What it logs of an attempt comes with its result, and most of its services write
# the status of the gateway's answer there, and that there was none.
ANSWERED = re.compile(r"\berror=(\d{3})\b")
NO_ANSWER = re.compile(r"connection error", re.IGNORECASE)
# A number that is none, or a text that it does not like, or a field that it wants by now: no use to try again, and not
# known whose fault it is. All else is ours to mend, as a password, a bill or an address that has moved, or theirs: then
# the message may pass.
ABOUT_THE_MESSAGE = {400, 422}


class Gateway(Channel):
    """A channel through the gateway that a setting names."""

    code: ClassVar[str]
    setting: ClassVar[str]
    address: ClassVar[re.Pattern[str]]  # what an address looks like
    examples: ClassVar[tuple[str, ...]]  # of addresses: a gateway that takes none of them is none
    splits: ClassVar[bool] = False  # what is too long for one message may become several

    @property
    def url(self) -> str:
        return str(getattr(settings, self.setting))

    def is_set_up(self) -> bool:
        return bool(self.url)

    def candidates(self, recipient: Recipient) -> tuple[str, ...]:
        """Return what may be the recipient's address, best first."""
        raise NotImplementedError

    def title_and_body(self, rendered: RenderedMessage) -> tuple[str, str]:
        raise NotImplementedError

    def address_of(self, recipient: Recipient) -> str:
        """Return an address that the gateway can be given; none, if what is on record is of another kind."""
        return next((text for text in self.candidates(recipient) if self.address.fullmatch(text)), "")

    def host_of(self, address: str) -> str:
        return f"{self.code}:{self.url.partition('://')[0].lower()}"

    def open_example(self) -> Any:
        """Return Apprise's service for an address that nobody has; None if the setting is no URL of a gateway."""
        services = (open_service(self.url, address) for address in self.examples)
        return next((service for service in services if service is not None), None)

    @contextmanager
    def connect(self) -> Iterator[Send]:
        if self.open_example() is None:  # or every address of the batch would be taken for a bad one
            raise Unreachable(record_text.GATEWAY_UNUSABLE(setting=self.setting), fault=Fault.OURSELVES)
        yield self._send

    def _send(self, envelope: Envelope) -> None:
        can_be = self.address.fullmatch(envelope.address)
        service = open_service(self.url, envelope.address) if can_be else None
        if service is None:
            raise Refused(record_text.GATEWAY_REFUSES(), bad_address=True)
        title, body = self.title_and_body(envelope.rendered)
        if failure := notify(service, title=title, body=body, splits=self.splits):
            raise failure


def open_service(url: str, address: str) -> Any:
    """Return Apprise's service for the address; None if it can make nothing of the URL."""
    # Here, because it takes 0.2 seconds that a process which sends no such message need not wait.
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(
        app_id="Nattevakt",
        async_mode=False,
        service_timeout=0,  # a thread would keep it, and go on after we have given up; requests keeps its own
        http_redirects=False,
    )
    service = Apprise.instantiate(url.replace(PLACE, quote(address, safe="")), asset=asset)
    # Twilio and others that find nobody to send to send to their own number, and call it a success.
    return service if service and getattr(service, "targets", True) else None


def places_calls(service: Any) -> bool:
    """Whether the service speaks instead of writing: many of those who are written to are hard of hearing."""
    # Each service of Apprise that can call has one of these (Twilio `method`, Pingram `channels`, SFR `media`).
    return any(SPOKEN.search(str(getattr(service, name, ""))) for name in ("method", "channels", "media"))


def notify(service: Any, *, title: str, body: str, splits: bool) -> Undelivered | None:
    """Send by a service of Apprise; return why it did not get through, or nothing."""
    from apprise import Apprise, NotifyFormat, OverflowMode

    if splits and service.overflow_mode == OverflowMode.UPSTREAM:
        service.overflow_mode = OverflowMode.SPLIT
    courier = Apprise()
    courier.add(service)
    with courier.notify(body=body, title=title, body_format=NotifyFormat.TEXT) as result:
        return None if result else _failure([entry.message for entry in result.logs()])


def _failure(said: list[str]) -> Undelivered:
    """Return what became of a message by what Apprise logged of it, of which nothing is kept: it names people."""
    statuses = [int(status) for line in said for status in ANSWERED.findall(line)]
    if statuses:
        status = statuses[-1]
        reason = record_text.GATEWAY_ANSWERED(status=status)
        if status in ABOUT_THE_MESSAGE:
            return Refused(reason, fault=Fault.PROVIDER)
        is_theirs = status in {408, 425, 429} or status >= 500
        return TryLater(reason, fault=Fault.PROVIDER if is_theirs else Fault.OURSELVES)
    if any(NO_ANSWER.search(line) for line in said):
        return Unreachable(record_text.GATEWAY_SILENT())
    return TryLater(record_text.GATEWAY_NOT_NOW())
