"""What a history has around it: a mail server that answers as it is told to, and a queue that loses and doubles.

Both are written for the order of a history: what they do is done by the session that asked for it, at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any
from unittest.mock import patch

from celery import current_app
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from notifications.messages import render
from tests.acceptance.simulator.sessions import Session, ask_to_go_on, current_session

TAKEN, LOST, AWAY = "takes it", "takes it and never says so", "is away"
REFUSALS: dict[str, Callable[[str], Exception]] = {
    "knows nobody of the name": lambda to: SMTPRecipientsRefused({to: (550, b"5.1.1 no such user")}),
    "takes no more today": lambda to: SMTPRecipientsRefused({to: (550, b"5.4.5 Daily sending quota exceeded")}),
    "says later": lambda _to: SMTPDataError(451, b"4.7.1 greylisted, try again"),
    "says goodbye": lambda _to: SMTPDataError(421, b"4.3.2 shutting down"),
}
ANSWERS = [TAKEN, LOST, AWAY, *REFUSALS]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a message tells: that this happened to, or is due for, this mentor."""

    kind: str
    mentor_id: int
    key: str
    certification_id: int | None
    expires_on: str | None


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message that the mail server has taken."""

    message_id: str
    to: str
    text: str
    said: list[Said]
    at: datetime
    session: Session | None

    @property
    def row(self) -> int:
        """The id of the notification, with which the product's message ids begin."""
        return int(self.message_id.strip("<").partition(".")[0])


@dataclass
class Post:
    """The mail server: how it answers, and what it took."""

    answer: str = TAKEN
    taken: list[Letter] = field(default_factory=list)
    _said: dict[int, list[Said]] = field(default_factory=dict)

    def reset(self) -> None:
        self.answer, self.taken, self._said = TAKEN, [], {}

    def hear(self, message: Any) -> Any:
        """Note what a message tells when its words are written."""
        self._said[message.notification.pk] = [
            Said(
                kind=str(event.kind),
                mentor_id=event.mentor.pk,
                key=event.facts.get("key", ""),
                certification_id=event.facts.get("certification_id"),
                expires_on=event.facts.get("expires_on"),
            )
            for event in message.events
        ]
        return render.render_message(message)

    def take(self, mail: EmailMessage) -> None:
        if refusal := REFUSALS.get(self.answer):
            raise refusal(mail.to[0])
        message_id = mail.extra_headers["Message-ID"]
        row = int(message_id.strip("<").partition(".")[0])
        self.taken.append(
            Letter(
                message_id=message_id,
                to=mail.to[0],
                text=f"{mail.subject}\n{mail.body}",
                said=self._said.get(row, []),
                at=timezone.now(),
                session=current_session(),
            )
        )
        if self.answer == LOST:
            raise SMTPServerDisconnected("Connection unexpectedly closed")
        ask_to_go_on()  # who dies here has not heard that it was taken


the_post = Post()


class Mail(BaseEmailBackend):
    """Hands mail to the post of the history."""

    def open(self) -> bool:
        if the_post.answer == AWAY:
            raise ConnectionRefusedError
        return True

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for mail in email_messages:
            the_post.take(mail)
        return len(email_messages)


@dataclass
class Queue:
    """Celery's queue: what waits in it, by task and arguments."""

    waiting: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    is_down: bool = False

    def send_task(self, name: str, args: Sequence[Any] = (), **_options: object) -> None:
        if self.is_down:
            raise BrokerAway
        task = (name, tuple(map(_as_received, args)))
        if name != "notifications.deliver" or task not in self.waiting:
            self.waiting.append(task)

    @contextmanager
    def producer_or_acquire(self) -> Iterator[None]:
        if self.is_down:
            raise BrokerAway
        yield

    def take(self, number: int, *, stays: bool) -> tuple[str, tuple[Any, ...]]:
        """Take a message out, or let it stay, to be delivered once more."""
        number %= len(self.waiting)
        return self.waiting[number] if stays else self.waiting.pop(number)


def _as_received(argument: Any) -> Any:
    return list(argument) if isinstance(argument, (list, tuple)) else argument


def do(task: tuple[str, tuple[Any, ...]]) -> object:
    """Do what a worker does with a message."""
    name, arguments = task
    return current_app.tasks[name](*arguments)


def seconds_since_it_began(batch: Any) -> float:
    """Count the time of a batch by the history's clock: the machine's own goes on for a worker that stands still."""
    return float(max(0.0, (timezone.now() - batch.began_at).total_seconds()))


@contextmanager
def surroundings() -> Iterator[tuple[Post, Queue]]:
    """Put the post and the queue in the place of the mail server and of Redis, for the time of a block."""
    current_app.loader.import_default_modules()
    queue = Queue()
    the_post.reset()
    with (
        patch("cronjobs.dispatch.current_app", queue),
        patch("notifications.dispatch.current_app", queue),
        patch("notifications.delivery.render_message", the_post.hear),
        patch("notifications.delivery._Batch.seconds", seconds_since_it_began),
    ):
        yield the_post, queue
