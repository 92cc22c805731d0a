"""A real worker with two processes, as in production, on a database of the bench's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psutil
from celery import current_app
from django.utils import timezone

from cronjobs.models import Run
from cronjobs.nightly import ALL_ACTIONS
from cronjobs.starting import execute_expiry_check
from mentors.models import Organisation
from tests.bench.dataset import WARM_UP
from tests.support.databases import ask
from tests.support.processes import SCRIPTS, Process, running
from tests.support.servers import url_of

COMMAND = ("celery", "-A", "config", "worker", "-c", "2", "-Q", "night,delivery", "--include", "tests.bench.plain")


@contextmanager
def fleet(database: str, *, on: date) -> Iterator[Process]:
    """Start the worker, and let it work a small night before the clock is started."""
    current_app.control.purge()  # what a bench that was interrupted has left
    path = os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath)))
    environment = os.environ | {"DATABASE_URL": url_of(database), "PATH": path, "LOG_LEVEL": "INFO"}
    with running(*COMMAND, env=environment) as worker:
        worker.wait_for(" ready.")
        organisation = Organisation.objects.get(slug=WARM_UP)
        run = execute_expiry_check(
            organisation=organisation,
            now=timezone.now(),
            business_date=on,
            actions=ALL_ACTIONS,
            approved=True,
        )
        worker.wait_until(lambda: not is_open(run), what="the end of the small night")
        yield worker


def is_open(run: Run) -> bool:
    [(finished_at,)] = ask("SELECT finished_at FROM cronjobs_run WHERE id = %s", run.pk)
    return finished_at is None


def peak_memory(worker: Process) -> float:
    """Return the most memory that any of the worker's processes had at any time, in MB."""
    return max(_peak_of(process) for process in psutil.Process(worker.pid).children())


def _peak_of(process: psutil.Process) -> float:
    """Ask the kernel for the peak where it keeps one, else for what it is now."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if peak:
            return int(peak.split()[1]) / 1024
    return process.memory_info().rss / 1024**2
