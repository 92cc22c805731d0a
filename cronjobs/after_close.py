"""What follows a closed run: its record is sealed, compared with what was expected of it, and others are told.

1. Take the run for this process, or leave it to the one that has it.
2. In one transaction: say what held the run up, compare it, seal its record, write the next forecast. Again, it
   changes nothing.
3. Outside of it: call the hooks.
4. Write that the run is concluded.

A process that dies before step 4 leaves the run to the sweep: every closed run is told of, and one whose process died
between steps 3 and 4 twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from uuid import UUID

import structlog
from django.db import connection, transaction

from cronjobs import forecast, hooks, outages
from cronjobs.models import Run, Seal
from cronjobs.records import seals

log = structlog.get_logger(__name__)


def conclude(run_id: UUID, *, now: datetime, error: Exception | None = None) -> None:
    """Do what follows a close; nothing if it has been done, or if another process is at it.

    `error` is what stopped the plan, for the hooks. Never call it inside a transaction: hooks use the network.
    """
    began = monotonic()
    with _alone_with(run_id) as is_alone:
        if not is_alone or not (result := _record(run_id, now=now)):
            return
        if not result.was_switched_off:
            _call_hooks(result, error)
        # A run that was retried meanwhile is still to be concluded.
        closed = Run.objects.not_concluded().filter(pk=run_id, finished_at=result.finished_at)
        if closed.update(concluded_at=now):
            seconds = round(monotonic() - began, 3)
            log.info(
                "run concluded", event_name="run_concluded", run_id=str(run_id), status=result.status, seconds=seconds
            )


def _record(run_id: UUID, *, now: datetime) -> hooks.RunResult | None:
    with transaction.atomic(durable=True):
        runs = Run.objects.not_concluded().select_related("organisation", "cron_job")
        run = runs.select_for_update(of=("self",)).filter(pk=run_id).first()
        if run is None:
            return None
        run.deviation = forecast.find_deviation(run)
        run.cause = run.cause or outages.describe_delay(run, now=now)
        run.save(update_fields=["deviation", "cause"])
        seals.seal(run, now=now)
        forecast.write_forecast(run, now=now)
        seals_of_run = Seal.objects.filter(run_id=run_id).count()
    return hooks.result_of(run, closing=max(1, seals_of_run))


def _call_hooks(result: hooks.RunResult, error: Exception | None) -> None:
    if result.is_green:
        hooks.on_run_complete(result)
    else:
        hooks.on_run_error(hooks.RunError(result=result, error=error))


@contextmanager
def _alone_with(run_id: UUID) -> Iterator[bool]:
    """Have the run for this process, if nobody else has; the database gives it free when the process dies.

    A lock of the session and not of a row, because hooks may take long and no transaction should.
    """
    key = int.from_bytes(run_id.bytes[:8], signed=True)
    is_alone = _ask("SELECT pg_try_advisory_lock(%s)", key)
    try:
        yield is_alone
    finally:
        if is_alone:
            _ask("SELECT pg_advisory_unlock(%s)", key)


def _ask(question: str, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [key])
        return bool(cursor.fetchone()[0])
