"""A worker that reports to a stand-in for Sentry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from celery import current_app

from cronjobs.models import CronJob, Run
from tests.support.ingest import Ingest
from tests.support.processes import worker
from tests.support.quoting import wait_for_the_night


@contextmanager
def worker_with_sentry(ingest: Ingest, *, attempts: int = 3) -> Iterator[None]:
    given = {"SENTRY_ENVIRONMENT": "tests", "CODE_VERSION": "v1", "NIGHTLY_MAX_ATTEMPTS": str(attempts)}
    with worker(concurrency=2, queues="night,delivery", SENTRY_DSN=ingest.dsn, **given):
        yield


def conclude_slot(job: CronJob) -> Run:
    """Let the worker run the newest slot, and wait until it is concluded."""
    current_app.send_task("cronjobs.nightly", [job.pk])
    return wait_for_the_night()


def by_status(ingest: Ingest) -> list[tuple[str, UUID]]:
    return [(check_in["status"], UUID(check_in["check_in_id"])) for check_in in ingest.check_ins]
