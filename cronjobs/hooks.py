"""What happens when a run ends. Nothing here can change what the run did."""

from __future__ import annotations

import structlog

from cronjobs.models import Run

log = structlog.get_logger(__name__)


def on_run_complete(run: Run) -> None:
    """Say that a run was closed, and with which counts."""
    log.info(
        "run closed", event_name="run_closed", run_id=str(run.pk), status=run.status, counts=run.counts, error=run.error
    )


def on_run_error(run: Run, error: Exception) -> None:
    """Say that a run could not be planned."""
    log.error("run failed", event_name="run_failed", run_id=str(run.pk), error=type(error).__name__)
