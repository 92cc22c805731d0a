"""The running service that the browser visits: gunicorn, a mail server and a Celery worker, on this test's database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import redis

from tests.support.mail import mail_server
from tests.support.processes import Process, empty_broker, free_port, live_environment, running, worker

QUEUES = ("night", "delivery")


@dataclass(kw_only=True)
class Service:
    """Where it is, and what its parts have written."""

    url: str
    web: Process
    settings: dict[str, str]
    worker: Process | None = None
    _parts: ExitStack

    def start_worker(self) -> None:
        """Have a worker from now on, for the first test that needs one: it takes seconds to start."""
        self.worker = self.worker or self._parts.enter_context(worker(concurrency=1, **self.settings))

    def come_to_rest(self) -> None:
        """Wait until the worker has nothing left to do, so that nothing of one test happens in the next.

        What waits for its hour stays where it is, and finds nothing to do then.
        """
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as broker:
            if self.worker:
                self.worker.wait_until(lambda: not _is_at_work(broker), what="rest")

    def story(self) -> str:
        """Return the end of what its parts have written."""
        parts = {"web": self.web, "worker": self.worker}
        return "\n".join(f"── {name}\n{part.output[-3000:]}" for name, part in parts.items() if part)


def _is_at_work(broker: redis.Redis) -> bool:
    """Say whether a task is waiting for its turn, or has been taken and is not done."""
    taken = [json.loads(delivery)[0] for delivery in broker.hvals("unacked")]
    return any(broker.llen(queue) for queue in QUEUES) or any(not task["headers"].get("eta") for task in taken)


@contextmanager
def service() -> Iterator[Service]:
    """Run it for the time of a block, with the settings of production: two factors, no debugging."""
    empty_broker()
    with ExitStack() as parts:
        mail = parts.enter_context(mail_server())
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {
            "DJANGO_SETTINGS_MODULE": "tests.browser.live_settings",
            "SECOND_FACTOR_REQUIRED": "true",
            "EMAIL_URL": mail.url,
            "PUBLIC_URL": url,
        }
        command = (
            "gunicorn", "config.wsgi", "--config=python:config.gunicorn", f"--bind=127.0.0.1:{port}",
            "--workers=1", "--threads=4", "--no-control-socket",
        )  # fmt: skip
        web = parts.enter_context(running(*command, env=live_environment(ALLOWED_HOSTS="127.0.0.1", **settings)))
        web.wait_for("Booting worker")
        yield Service(url=url, web=web, settings=settings, _parts=parts)
