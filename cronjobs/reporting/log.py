"""Every run in the log: its claim and its close, with counts and seconds."""

from __future__ import annotations

import structlog

from cronjobs.hooks import RunError, RunResult

log = structlog.get_logger(__name__)


def on_run_claimed(result: RunResult) -> None:
    log.info(
        "run claimed",
        event_name="run_claimed",
        run_id=str(result.run_id),
        organisation=result.organisation,
        trigger=result.trigger,
        business_date=str(result.business_date),
    )


def on_run_complete(result: RunResult) -> None:
    log.info("run closed", event_name="run_closed", **_facts(result))


def on_run_error(error: RunError) -> None:
    stopped_by = type(error.error).__name__ if error.error else None  # its text may quote a row
    log.error("run failed", event_name="run_failed", error=stopped_by, **_facts(error.result))


def _facts(result: RunResult) -> dict[str, object]:
    return {
        "run_id": str(result.run_id),
        "organisation": result.organisation,
        "status": result.status,
        "counts": result.counts,
        "seconds": result.seconds,
    }
