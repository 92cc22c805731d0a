"""What a scrape of /metrics costs: in the middle of a big night, after ten years of them, with messages that wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from cronjobs import nightly
from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from tests.bench.dataset import SLUG
from tests.bench.measure import BIG_TABLES
from tests.bench.report import Row
from tests.support.databases import ask, clone

YEARS = 10
TOKEN = "of-the-bench"

PAST_NIGHTS = """
INSERT INTO cronjobs_run (
    id, organisation_id, cron_job_id, business_date, scheduled_for, trigger, actions, dry_run, approved, requested_by,
    status, counts, already_handled, created_at, started_at, finished_at, concluded_at, error, cause, deviation,
    code_version
)
SELECT gen_random_uuid(), %(organisation)s, %(job)s, %(on)s - night, at, 'schedule', '{pause,resume,remind}', false,
       false, '', CASE night %% 50 WHEN 0 THEN 'partial' ELSE 'succeeded' END,
       jsonb_build_object(
           'pause', jsonb_build_object('planned', night %% 40, 'done', night %% 40, 'skipped', 0, 'failed', 0),
           'resume', jsonb_build_object('planned', night %% 9, 'done', night %% 8, 'skipped', 0, 'failed', 0),
           'remind', jsonb_build_object('planned', night %% 70, 'done', night %% 60, 'skipped', 0, 'failed', 0)
       ), 0, at, at, at, at, '[]', '[]', '[]', ''
FROM generate_series(2, %(nights)s) AS night, LATERAL (SELECT %(on)s - night + time '00:30') AS slot (at)
"""
# One in a hundred of what was sent in past years has waited since, or was given up.
WAITING = """
UPDATE notifications_notification
SET status = (ARRAY['queued', 'failed'])[id %% 2 + 1], channel = 'email', next_attempt_at = now() + interval '6 hours'
WHERE id %% 100 < 2
"""


@dataclass(frozen=True, kw_only=True)
class Scrape:
    milliseconds: float
    queries: int
    read_in_sequence: int  # rows of big tables
    pending: int  # items
    messages: int  # queued or given up


def measure_scrape(template: str, *, on: date, repeats: int = 20) -> Scrape:
    """Scrape again and again, the whole request; the first time only fetches the pages."""
    with clone(template), override_settings(METRICS_TOKEN=TOKEN, ALLOWED_HOSTS=["testserver"]):
        _fill(on=on)
        client = Client()
        _scrape(client)
        read_before = _rows_read_in_sequence()
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            queries = _scrape(client)
            seconds.append(time.perf_counter() - began)
        read = _rows_read_in_sequence() - read_before
        [(pending,)] = ask("SELECT count(*) FROM cronjobs_runitem WHERE status = 'pending'")
        [(messages,)] = ask("SELECT count(*) FROM notifications_notification WHERE status IN ('queued', 'failed')")
        return Scrape(
            milliseconds=median(seconds) * 1000,
            queries=queries,
            read_in_sequence=read,
            pending=pending,
            messages=messages,
        )


def describe(scrape: Scrape, *, certifications: int) -> list[Row]:
    """Set what a scrape costs beside what it may."""
    return [
        Row(
            what=f"GET /metrics, of {certifications:,} certifications",
            measured=f"{scrape.milliseconds:.0f} ms",
            compared_with=f"{scrape.pending:,} items pending, {scrape.messages:,} messages waiting",
            ratio=scrape.milliseconds,
            unit="ms",
            at_most=100,
        ),
        Row(
            what="questions that it asks the database",
            measured=f"{scrape.queries}",
            compared_with="",
            ratio=float(scrape.queries),
            unit="queries",
            at_most=10,
        ),
        Row(
            what="rows of big tables that it reads by sequential scan",
            measured=f"{scrape.read_in_sequence:,}",
            compared_with="",
            ratio=float(scrape.read_in_sequence),
            unit="rows",
            at_most=0,
        ),
    ]


def _fill(*, on: date) -> None:
    """Add the nights of past years and messages that wait, and plan the coming night."""
    now = timezone.now()
    organisation = Organisation.objects.get(slug=SLUG)
    job: CronJob = create_cron_job(organisation=organisation, name="nightly", now=now - timedelta(days=3))
    values: dict[str, int | date] = {"organisation": organisation.pk, "job": job.pk, "on": on, "nights": YEARS * 365}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PAST_NIGHTS, values)
        cursor.execute(WAITING, {})
    run = nightly.claim_run(
        organisation=organisation, business_date=on, trigger=Run.Trigger.MANUAL, approved=True, now=now
    )
    nightly.plan_run(run.pk, now=now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE cronjobs_run, cronjobs_runitem, notifications_notification")


def _scrape(client: Client) -> int:
    """Ask once; return how many queries it took."""
    connection.queries_log.clear()  # it keeps 9,000, and counts none beyond them
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.status_code
    return len(queries)


def _rows_read_in_sequence() -> int:
    ask("SELECT pg_stat_force_next_flush()")
    [(rows,)] = ask("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY(%s)", list(BIG_TABLES))
    return int(rows)
