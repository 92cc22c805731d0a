"""The Celery application. Everything it is told stands in settings, as `CELERY_…`."""

from __future__ import annotations

import logging
import os
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, task_postrun, task_prerun
from django.utils import translation
from structlog.contextvars import bind_contextvars, clear_contextvars

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("nattevakt")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect  # of the worker, whose warnings come before its logging
@setup_logging.connect
def log_as_settings_say(**_kwargs: Any) -> None:
    """Keep Celery from setting up its own logging, which would drop what LOG_LEVEL asks for."""
    from django.conf import settings

    logging.captureWarnings(True)
    dictConfig(settings.LOGGING)


@task_prerun.connect
def speak_english(**_kwargs: Any) -> None:
    """Give a task the language of operations: what it raises is logged and kept. Messages have their reader's own."""
    translation.activate("en")


@task_prerun.connect
def begin_context(task_id: str, **_kwargs: Any) -> None:
    """Write into each line of the task's log which task it is; the task itself adds its run."""
    clear_contextvars()
    bind_contextvars(task_id=task_id)


@task_postrun.connect
def end_context(**_kwargs: Any) -> None:
    """Forget it, after Celery's own last line."""
    clear_contextvars()
