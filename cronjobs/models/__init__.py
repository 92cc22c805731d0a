"""Scheduled jobs, their runs and the ledger; what the watch knows; what remains as a record."""

from cronjobs.models.jobs import LONGEST_PATIENCE_MINUTES, CronJob
from cronjobs.models.monitoring import Alert, Component, Heartbeat, Incident, Outage
from cronjobs.models.records import Forecast, RunSummary, Seal
from cronjobs.models.runs import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    Action,
    Run,
    RunItem,
    RunItemQuerySet,
    RunQuerySet,
    missed_by_a_wrong_clock,
)

__all__ = [
    "LONGEST_PATIENCE_MINUTES",
    "NEWEST_FIRST",
    "OLDEST_FIRST",
    "Action",
    "Alert",
    "Component",
    "CronJob",
    "Forecast",
    "Heartbeat",
    "Incident",
    "Outage",
    "Run",
    "RunItem",
    "RunItemQuerySet",
    "RunQuerySet",
    "RunSummary",
    "Seal",
    "missed_by_a_wrong_clock",
]
