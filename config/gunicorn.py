"""How gunicorn logs and starts: `gunicorn --config=python:config.gunicorn config.wsgi`."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from logging.config import dictConfig
from typing import Any

from gunicorn import glogging

from config.logs import configure_logging

logger_class = "config.gunicorn.Logger"


def on_starting(arbiter: Any) -> None:
    """Wait for the address, which gunicorn itself gives up after five seconds.

    The processes of a web server that was killed hold it until they notice, and one that waits for a database that is
    away notices late.
    """
    for address in arbiter.cfg.address:
        while isinstance(address, tuple) and _is_taken(address):
            arbiter.log.warning("address taken: waiting for whoever listens at %s to end", address)
            time.sleep(1)


def _is_taken(address: tuple[str, int]) -> bool:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE  # of anything else gunicorn itself says what is wrong
    return False


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Writes gunicorn's log lines like all others. Its master process loads no settings, and needs only the level."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logging.captureWarnings(True)
        dictConfig(configure_logging(os.environ.get("LOG_LEVEL", "INFO")))
        for log in (self.error_log, self.access_log):
            log.handlers, log.propagate = [], True

    def access(self, *_args: Any, **_kwargs: Any) -> None:
        """Write nothing: `config/request_log.py` logs requests, without IP addresses and paths, which hold tokens."""
