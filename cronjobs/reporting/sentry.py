"""A Sentry cron monitor for each job, and an event for each run that is not green (ADR 15).

The check-in is opened when a slot's run is claimed and closed by what the run really did, often by another process:
its id is made of the run's. What a person starts has no check-in.
"""

from __future__ import annotations

from uuid import uuid5

import sentry_sdk
from sentry_sdk.crons import capture_checkin
from sentry_sdk.types import MonitorConfig

from cronjobs.hooks import RunError, RunResult
from cronjobs.models import CronJob

# A worker's child may be gone in a moment, and with it the thread that sends.
FLUSH_SECONDS = 2


def on_run_claimed(result: RunResult) -> None:
    _check_in("in_progress", result)
    sentry_sdk.flush(FLUSH_SECONDS)


def on_run_complete(result: RunResult) -> None:
    _check_in("ok", result)
    sentry_sdk.flush(FLUSH_SECONDS)


def on_run_error(error: RunError) -> None:
    _check_in("error", error.result)
    _report(error)
    sentry_sdk.flush(FLUSH_SECONDS)


def _check_in(status: str, result: RunResult) -> None:
    if result.scheduled_for is None or result.cron_job_id is None:
        return
    job = CronJob.objects.get(pk=result.cron_job_id)
    # A check-in that has ended cannot change, so a run that was retried gets another one.
    check_in_id = result.run_id if result.closing == 1 else uuid5(result.run_id, str(result.closing))
    capture_checkin(
        monitor_slug=result.slug,
        check_in_id=check_in_id.hex,
        status=status,
        duration=result.seconds,
        monitor_config=monitor_config(job),
    )


def monitor_config(job: CronJob) -> MonitorConfig:
    """Return when Sentry is to expect the job, so that it alarms `alert_after_minutes` after the slot at the latest.

    A quarter of these is for the claim: of the usual 60 the sweep needs about five to make up what beat did not send.
    The rest is for the work. Each is a minute at least, which is as fine as Sentry counts.
    """
    margin = max(1, job.alert_after_minutes // 4)
    return {
        "schedule": {"type": "crontab", "value": job.cron_expression},
        "timezone": job.timezone,
        "checkin_margin": margin,
        "max_runtime": max(1, job.alert_after_minutes - margin),
        "failure_issue_threshold": 1,
        "recovery_threshold": 1,
    }


def _report(error: RunError) -> None:
    result = error.result
    with sentry_sdk.new_scope() as scope:
        scope.set_tags(
            {
                "run_id": str(result.run_id),
                "organisation": result.organisation,
                "job": result.slug,
                "status": result.status,
            }
        )
        scope.set_context(
            "run",
            {
                "trigger": result.trigger,
                "business_date": str(result.business_date),
                "counts": result.counts,
                "seconds": result.seconds,
                "stopped_by": type(error.error).__name__ if error.error else None,
            },
        )
        scope.fingerprint = ["run", result.organisation, result.slug]
        scope.capture_message(f"A run of {result.organisation} ({result.slug}) is {result.status}", level="error")
