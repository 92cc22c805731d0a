"""The running service that the browser visits: gunicorn, a Celery worker and a mail server, on this test's database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import redis

from tests.support.mail import MailServer, mail_server
from tests.support.processes import Process, empty_broker, free_port, live_environment, running, wait_until, worker

QUEUES = ("night", "delivery")


@dataclass(frozen=True)
class Service:
    """Where it is, and what its parts have written."""

    url: str
    web: Process
    worker: Process
    mail: MailServer

    def come_to_rest(self) -> None:
        """Wait until the worker has nothing left to do, so that nothing of one test happens in the next.

        What waits for its hour stays where it is, and finds nothing to do then.
        """
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as broker, suppress(AssertionError):
            wait_until(lambda: not (any(broker.llen(queue) for queue in QUEUES) or broker.hlen("unacked")), seconds=3)

    def story(self) -> str:
        """Return the end of what its parts have written."""
        return "\n".join(
            f"── {part}\n{process.output[-3000:]}" for part, process in vars(self).items() if part in PARTS
        )


PARTS = ("web", "worker")


@contextmanager
def service() -> Iterator[Service]:
    """Run it for the time of a block, with the settings of production: two factors, no debugging."""
    empty_broker()
    with ExitStack() as undo:
        mail = undo.enter_context(mail_server())
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {
            "DJANGO_SETTINGS_MODULE": "tests.browser.live_settings",
            "SECOND_FACTOR_REQUIRED": "true",
            "EMAIL_URL": mail.url,
            "PUBLIC_URL": url,
        }
        command = (
            "gunicorn", "config.wsgi", "--logger-class=config.gunicorn.Logger", f"--bind=127.0.0.1:{port}",
            "--workers=1", "--threads=4", "--no-control-socket",
        )  # fmt: skip
        web = undo.enter_context(running(*command, env=live_environment(ALLOWED_HOSTS="127.0.0.1", **settings)))
        hands = undo.enter_context(worker(concurrency=1, **settings))
        web.wait_for("Booting worker")
        yield Service(url=url, web=web, worker=hands, mail=mail)
