"""The queues of this test process's Redis: what was sent is received from them, and done by the tasks themselves."""

from __future__ import annotations

from datetime import datetime
from queue import Empty
from typing import Any

from celery import current_app

from cronjobs.models import Run

Sent = tuple[str, list[Any]]


def received(queue: str) -> list[Sent]:
    """Take all messages out of a queue; return the name and the arguments of each."""
    messages: list[Sent] = []
    with current_app.connection_for_read() as broker:
        waiting = broker.SimpleQueue(queue)
        while True:
            try:
                message = waiting.get_nowait()
            except Empty:
                waiting.close()
                return messages
            message.ack()
            messages.append((message.headers["task"], message.payload[0]))


def do(messages: list[Sent]) -> None:
    """Do what a worker does with the messages."""
    current_app.loader.import_default_modules()
    for name, arguments in messages:
        current_app.tasks[name](*arguments)


def made_of_slots() -> list[tuple[datetime | None, str, str]]:
    """Return every run of a slot: the slot, by what it was begun, and what became of it."""
    runs = Run.objects.filter(cron_job__isnull=False).order_by("scheduled_for")
    return list(runs.values_list("scheduled_for", "trigger", "status"))
