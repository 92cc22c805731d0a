"""The Celery application. Everything it is told stands in settings, as `CELERY_…`."""

from __future__ import annotations

import os
from logging.config import dictConfig
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from django.utils import translation

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("nattevakt")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_settings_say(**_kwargs: Any) -> None:
    """Keep Celery from setting up its own logging, which would drop what LOG_LEVEL asks for."""
    from django.conf import settings

    dictConfig(settings.LOGGING)


@task_prerun.connect
def speak_english(**_kwargs: Any) -> None:
    """Give a task the language of operations: what it raises is logged and kept. Messages have their reader's own."""
    translation.activate("en")
