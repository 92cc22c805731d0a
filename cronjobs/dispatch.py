"""Hands work to the workers. The queue is a nudge: what is lost here, the sweep finds in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ParamSpec
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from cronjobs.models import Run
from cronjobs.work import Batch

log = structlog.get_logger(__name__)

Options = ParamSpec("Options")


class BrokerUnavailable(Exception):
    """The broker at REDIS_URL did not take the work.

    The run is safe in the database: start Redis and the sweep hands it out, or finish it with `nightly --inline`.
    """

    def __init__(self, run_id: UUID) -> None:
        self.run_id = run_id
        super().__init__(f"Run {run_id} is planned, and waits for the broker at REDIS_URL.")


def send_batches(run_id: UUID, batches: Iterable[Batch]) -> None:
    """Send one subtask a batch, ids only, over one connection. Raises BrokerUnavailable."""
    try:
        with current_app.producer_or_acquire() as producer:
            for batch in batches:
                current_app.send_task(
                    "cronjobs.work_items",
                    args=[str(run_id), list(batch.mentor_ids), batch.count_attempt_first],
                    countdown=batch.countdown or None,
                    producer=producer,
                )
    except OperationalError as error:
        raise BrokerUnavailable(run_id) from error


def dispatch_or_defer(start: Callable[Options, Run], *args: Options.args, **options: Options.kwargs) -> UUID:
    """Do what sends a run to the workers, and return the run's id.

    While the broker is away the run is safe in the database, where the sweep finds it: no error for who asked.
    """
    try:
        return start(*args, **options).pk
    except BrokerUnavailable as error:
        log.warning("run not handed out", event_name="run_not_handed_out", run_id=str(error.run_id))
        return error.run_id
