"""Scheduled jobs, their runs and the ledger; what the watch knows; what remains as a record."""

from cronjobs.models.jobs import CronJob
from cronjobs.models.records import Forecast, RunSummary, Seal
from cronjobs.models.runs import NEWEST_FIRST, OLDEST_FIRST, Action, Run, RunItem, RunItemQuerySet, RunQuerySet
from cronjobs.models.vigil import Alert, Heartbeat, Incident, Part, Silence

__all__ = [
    "NEWEST_FIRST",
    "OLDEST_FIRST",
    "Action",
    "Alert",
    "CronJob",
    "Forecast",
    "Heartbeat",
    "Incident",
    "Part",
    "Run",
    "RunItem",
    "RunItemQuerySet",
    "RunQuerySet",
    "RunSummary",
    "Seal",
    "Silence",
]
