"""How gunicorn logs: `gunicorn --logger-class=config.gunicorn.Logger config.wsgi`."""

from __future__ import annotations

import logging
import os
from logging.config import dictConfig
from typing import Any

from gunicorn import glogging

from config.logs import set_up


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Lets gunicorn's lines come out like all others. Its master has no settings, and needs none but the level."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logging.captureWarnings(True)
        dictConfig(set_up(os.environ.get("LOG_LEVEL", "INFO")))
        for log in (self.error_log, self.access_log):
            log.handlers, log.propagate = [], True

    def access(self, *_args: Any, **_kwargs: Any) -> None:
        """Say nothing: `config/request_log.py` does, without paths, which may be somebody's link, and addresses."""
