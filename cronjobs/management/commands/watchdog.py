"""The loop that watches from outside Celery: `manage.py watchdog`."""

from __future__ import annotations

import signal
import sys
from time import sleep
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from cronjobs.monitoring.alerts import routes
from cronjobs.monitoring.watchdog import TELL_SECONDS, Watchdog, beat_heart
from mentors.management.base import NattevaktCommand

log = structlog.get_logger(__name__)


class Command(NattevaktCommand):
    help = (
        "Look every WATCHDOG_SECONDS whether anything is wrong, and tell operations. It needs neither Celery nor Redis."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, for cron; exit 1 if it could not be made")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_args: sys.exit(0))
        watchdog = Watchdog(now=timezone.now())
        log.info("watchdog started", event_name="watchdog_started", routes=[route.name for route in routes()])
        if options["once"]:
            all_notified = watchdog.make_round(now=timezone.now(), once=True)
            watchdog.wait_for_sweep(seconds=TELL_SECONDS)
            if not all_notified:
                raise CommandError("The round could not be made, or nobody could be told: the log says more.")
            beat_heart()
            return
        while True:
            close_old_connections()  # as between two requests: one that has broken or grown old is opened anew
            if watchdog.make_round(now=timezone.now()):
                beat_heart()
            sleep(settings.WATCHDOG_SECONDS)
