"""How gunicorn logs: `gunicorn --logger-class=config.gunicorn.Logger config.wsgi`."""

from __future__ import annotations

import logging
import os
from logging.config import dictConfig
from typing import Any

from gunicorn import glogging

from config.logs import configure_logging


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
