"""What Prometheus is told (docs/metrics.md), counted in the database at the moment of the scrape.

The workers are other processes, and may be dead; what they did, or left undone, stands in the database. Labels are
slugs, ids and kinds, never a name that somebody typed. A scrape costs twelve questions at most, however much there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from math import inf
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, OuterRef, Subquery
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from cronjobs import heartbeats
from cronjobs.models import NEWEST_FIRST, Action, Component, CronJob, Forecast, Incident, Run, RunItem
from cronjobs.monitoring import alerts
from cronjobs.monitoring.problems import last_nights
from mentors.models import Organisation
from notifications.channels import CHANNELS
from notifications.models import Notification

# What the counts of a run are summed up by.
COUNTED = tuple(product(Action.values, (RunItem.Status.DONE, RunItem.Status.SKIPPED, RunItem.Status.FAILED)))
SUM = "sum((counts #>> '{{{},{}}}')::integer)"  # three times as fast as taking the documents apart
# Runs, and what is left of those that were pruned, in one statement: a run is in one of the two, never in both.
RECORDS = """
    WITH record AS (
        SELECT organisation_id, status, 1 AS runs, counts FROM cronjobs_run WHERE NOT dry_run
        UNION ALL
        SELECT organisation_id, '', 0, counts FROM cronjobs_runsummary
        UNION ALL
        SELECT organisation_id, by_status.key, by_status.value::integer, '{{}}'
        FROM cronjobs_runsummary, jsonb_each_text(runs) AS by_status
    )
    SELECT organisation_id, status, sum(runs), {sums}
    FROM record GROUP BY organisation_id, status
"""

# The pauses of a held run wait for a person: they are pending, and not stuck.
OPEN_RUNS = """
    SELECT run.organisation_id, run.status, COALESCE(run.started_at, run.created_at), item.action, count(item.id),
           count(item.id) FILTER (
               WHERE item.at < %(untouched_since)s AND (run.status, item.action) <> ('held', 'pause')
           )
    FROM cronjobs_run run
    LEFT JOIN cronjobs_runitem item ON item.run_id = run.id AND item.status = 'pending'
    WHERE run.status IN ('planned', 'running', 'held')
    GROUP BY run.id, item.action
"""

# What is sent or cancelled is never counted: there are years of it.
MESSAGES = """
    SELECT channel, status, count(*), count(*) FILTER (WHERE status = 'queued' AND attempts > 0),
           min(next_attempt_at) FILTER (WHERE status = 'queued')
    FROM notifications_notification WHERE status IN ('queued', 'sending') GROUP BY channel, status
    UNION ALL
    SELECT channel, 'failed', count(*), 0, NULL
    FROM notifications_notification WHERE status = 'failed' GROUP BY channel
"""
MESSAGE_STATUSES = (Notification.Status.QUEUED, Notification.Status.SENDING, Notification.Status.FAILED)


class NightCollector(Collector):
    """Everything that Prometheus is told of one moment."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        yield InfoMetricFamily("nattevakt_build", "The code that answers.", value={"version": settings.CODE_VERSION})
        yield from _jobs(now=self.now)
        slugs, forecast = _organisations(now=self.now)
        yield forecast
        yield from _records(slugs)
        yield from _open_runs(slugs, now=self.now)
        yield from _messages(now=self.now)
        yield from _watch(now=self.now)


def _gauge(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"nattevakt_{name}", help, labels=labels)


def _jobs(*, now: datetime) -> Iterator[GaugeMetricFamily]:
    enabled = _gauge("job_enabled", "Whether the job is switched on.", "organisation", "cron_job")
    in_order = _gauge(
        "job_in_order",
        "Whether the newest slot that can be judged was closed green in time; of jobs that are switched on.",
        "organisation",
        "cron_job",
    )
    last_success = _gauge(
        "job_last_success_timestamp_seconds",
        "When the last green run of the job was closed; absent while there is none.",
        "organisation",
        "cron_job",
    )
    nights = {night.cron_job.pk: night for night in last_nights(now=now)}
    green = Run.objects.real().filter(cron_job=OuterRef("pk"), status=Run.Status.SUCCEEDED).order_by(*NEWEST_FIRST)
    jobs = CronJob.objects.select_related("organisation")
    for job in jobs.annotate(succeeded_at=Subquery(green.values("finished_at")[:1])):
        labels = (job.organisation.slug, str(job.pk))
        enabled.add_metric(labels, job.enabled)
        if night := nights.get(job.pk):
            in_order.add_metric(labels, not night.fault)
        if job.succeeded_at:
            last_success.add_metric(labels, job.succeeded_at.timestamp())
    yield from (enabled, in_order, last_success)


def _organisations(*, now: datetime) -> tuple[dict[int, str], GaugeMetricFamily]:
    """Return the slugs by id, and what the next night of each is expected to do."""
    expected = _gauge("forecast_items", "How many items the next night is expected to have.", "organisation", "action")
    # Yesterday by UTC can still be the coming night somewhere.
    coming = Forecast.objects.filter(organisation=OuterRef("pk"), business_date__gte=now.date() - timedelta(days=1))
    newest = coming.order_by("-business_date").values("expected")[:1]
    slugs = {}
    for organisation in Organisation.objects.order_by("slug").annotate(next_night=Subquery(newest)):
        slugs[organisation.pk] = organisation.slug
        for action, count in (organisation.next_night or {}).items():
            expected.add_metric((organisation.slug, action), count)
    return slugs, expected


def _records(slugs: dict[int, str]) -> Iterator[GaugeMetricFamily]:
    runs = _gauge("runs", "Runs by status, those that were pruned included.", "organisation", "status")
    items = _gauge(
        "items", "Items of closed runs, those that were pruned included.", "organisation", "action", "status"
    )
    sums = ", ".join(SUM.format(*counted) for counted in COUNTED)
    by_status: dict[tuple[int, str], int] = defaultdict(int)
    by_action: dict[tuple[int, str, str], int] = defaultdict(int)
    for organisation, status, count, *item_counts in _ask(RECORDS.format(sums=sums)):
        by_status[organisation, status] = count
        for counted, item_count in zip(COUNTED, item_counts, strict=True):
            by_action[organisation, *counted] += item_count or 0
    for organisation, slug in slugs.items():
        for status in Run.Status.values:
            runs.add_metric((slug, status), by_status[organisation, status])
        for action, item_status in COUNTED:
            items.add_metric((slug, action, item_status), by_action[organisation, action, item_status])
    yield from (runs, items)


def _open_runs(slugs: dict[int, str], *, now: datetime) -> Iterator[GaugeMetricFamily]:
    age = _gauge("open_run_age_seconds", "How long ago the run that is open began.", "organisation", "status")
    pending = _gauge("pending_items", "Items that wait to be worked on.", "organisation", "action")
    stuck = _gauge(
        "stuck_items",
        "Pending items that nobody has touched for NIGHTLY_STUCK_SECONDS.",
        "organisation",
        "action",
    )
    untouched_since = now - timedelta(seconds=settings.NIGHTLY_STUCK_SECONDS)
    left: dict[tuple[int, str], tuple[int, int]] = {}
    began: dict[int, tuple[str, datetime]] = {}  # an organisation has one open run at most
    for organisation, status, began_at, action, count, untouched in _ask(OPEN_RUNS, untouched_since=untouched_since):
        began[organisation] = (status, began_at)
        left[organisation, action] = (count, untouched)
    for organisation, slug in slugs.items():
        if organisation in began:
            status, began_at = began[organisation]
            age.add_metric((slug, status), _seconds(began_at, now))
        for action in Action.values:
            count, untouched = left.get((organisation, action), (0, 0))
            pending.add_metric((slug, action), count)
            stuck.add_metric((slug, action), untouched)
    yield from (age, pending, stuck)


def _messages(*, now: datetime) -> Iterator[GaugeMetricFamily]:
    messages = _gauge("messages", "Messages on their way, and those that were given up (failed).", "channel", "status")
    retried = _gauge("messages_retried", "Queued messages that were tried before, in vain.", "channel")
    overdue = _gauge(
        "oldest_due_message_age_seconds",
        "How long the message that waits longest could have left already; 0 if none is due.",
        "channel",
    )
    rows = {(channel, status): (count, tried, due) for channel, status, count, tried, due in _ask(MESSAGES)}
    nothing = (0, 0, None)
    for channel in sorted({*CHANNELS, *(channel for channel, _status in rows)}):
        for status in MESSAGE_STATUSES:
            messages.add_metric((channel, status), rows.get((channel, status), nothing)[0])
        _count, tried, due_at = rows.get((channel, Notification.Status.QUEUED), nothing)
        retried.add_metric([channel], tried)
        overdue.add_metric([channel], _seconds(due_at or now, now))
    yield from (messages, retried, overdue)


def _watch(*, now: datetime) -> Iterator[GaugeMetricFamily]:
    age = _gauge(
        "heartbeat_age_seconds", "How long ago the component was last heard of; infinite if it never was.", "component"
    )
    tolerance = _gauge(
        "heartbeat_tolerance_seconds", "After how long without a heartbeat the component counts as silent.", "component"
    )
    incidents = _gauge("incidents_open", "Incidents that are not over.", "kind")
    proof = _gauge(
        "alarm_last_proof_timestamp_seconds",
        "When an alert last got through by the route; 0: never.",
        "route",
    )
    heard = heartbeats.last_heard()
    for component in Component:
        age.add_metric([component], _seconds(heard[component], now) if component in heard else inf)
        tolerance.add_metric([component], heartbeats.TOLERANCE[component].total_seconds())
    still = Incident.objects.filter(ended_at=None).order_by().values_list("kind").annotate(Count("pk"))
    counts = dict(still)
    for kind in Incident.Kind.values:
        incidents.add_metric([kind], counts.get(kind, 0))
    proved = alerts.last_proofs()
    for route in alerts.routes():
        proof.add_metric([route.name], proved[route.name].timestamp() if route.name in proved else 0)
    yield from (age, tolerance, incidents, proof)


def _seconds(since: datetime, now: datetime) -> float:
    """Return how many seconds have passed; never fewer than none, whatever two machines' clocks say."""
    return max(0.0, (now - since).total_seconds())


def _ask(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
