"""A real mail server (aiosmtpd) in a thread, which keeps what it takes and fails as a test asks it to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.processes import free_port

# What is answered for this address instead of taking it: a line of SMTP, HANG or CLOSE; None takes it.
Fault = Callable[[str], str | None]

HANG, CLOSE = "hang", "close"  # answers that are none
SILENT = "silent"  # takes the message, and never says so


@dataclass
class MailServer:
    """What has arrived, in its order, and how the server behaves.

    `at_rcpt` is asked before the recipient is taken, `after_data` before the message is.
    """

    at_rcpt: Fault | None = None
    after_data: Fault | None = None
    received: list[EmailMessage] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)  # the Message-ID of everything that came as far as DATA
    silenced: list[str] = field(default_factory=list)  # the Message-ID of what was taken without a word
    connections: int = 0
    url: str = ""
    port: int = 0
    _released: threading.Event = field(default_factory=threading.Event)
    _controller: Controller | None = None

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.received if mail["To"] == address]

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if self.at_rcpt and (answer := self.at_rcpt(address)):
            return await self._answer(server, answer)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail: Any = message_from_bytes(envelope.original_content or b"", policy=default)
        self.offered.append(mail["Message-ID"])
        if self.after_data and (answer := self.after_data(envelope.rcpt_tos[0])):
            if answer == SILENT:
                self.received.append(mail)
                self.silenced.append(mail["Message-ID"])
            return await self._answer(server, answer)
        self.received.append(mail)
        return "250 OK"

    def release(self) -> None:
        """Let what hangs go on."""
        self._released.set()

    def up(self) -> None:
        """Listen, on the port that it has had before."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=120)
        self._controller.start()

    def down(self) -> None:
        """Listen no more: who comes is refused by the machine."""
        if self._controller:
            self._controller.stop()
        self._controller = None

    async def _answer(self, server: SMTP, answer: str) -> str:
        if answer not in {HANG, CLOSE, SILENT}:
            return answer
        transport: Any = server.transport
        while answer != CLOSE and not self._released.is_set() and not transport.is_closing():
            await asyncio.sleep(0.05)
        transport.abort()
        return "421 goodbye"


def always(answer: str) -> Fault:
    return lambda _address: answer


@contextmanager
def mail_server(**behaviour: Any) -> Iterator[MailServer]:
    """Serve SMTP for the time of a block."""
    server = MailServer(**behaviour)
    server.port = free_port()
    server.url = f"smtp://127.0.0.1:{server.port}"
    server.up()
    try:
        yield server
    finally:
        server.release()
        server.down()
