"""The Celery application. All its configuration is in the settings, as `CELERY_…`."""

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


@celeryd_init.connect  # for the worker, which warns before it sets logging up
@setup_logging.connect
def use_our_logging(**_kwargs: Any) -> None:
    """Keep Celery from setting up its own logging, which would ignore LOG_LEVEL."""
    from django.conf import settings

    logging.captureWarnings(True)
    dictConfig(settings.LOGGING)


@task_prerun.connect
def activate_english(**_kwargs: Any) -> None:
    """Run tasks in English, in which their errors are logged and stored. Messages have their reader's language."""
    translation.activate("en")


@task_prerun.connect
def begin_context(task_id: str, **_kwargs: Any) -> None:
    """Add the task's id to each line of its log; the task itself adds its run."""
    clear_contextvars()
    bind_contextvars(task_id=task_id)


@task_postrun.connect
def end_context(**_kwargs: Any) -> None:
    """Remove the task's id, after Celery's own last line."""
    clear_contextvars()
