"""The measurements, each on a fresh clone of a database, each returning seconds and what it left behind."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from certifications.expiry import find_expired_certifications, find_renewed_mentors
from certifications.reminders import find_due_reminders
from cronjobs import nightly
from cronjobs.models import Run
from cronjobs.starting import execute_expiry_check
from mentors.models import Mentor, Organisation
from notifications.channels import EMAIL, INBOX
from notifications.models import Notification
from tests.bench.dataset import SLUG
from tests.bench.fleet import fleet, is_open, peak_memory
from tests.bench.limit import run_statement
from tests.bench.plain import check_mentor, check_mentor_task
from tests.support.databases import ask, clone

State = list[tuple[object, ...]]

BIG_TABLES = (
    "mentors_mentor",
    "certifications_certification",
    "cronjobs_runitem",
    "mentors_statuschange",
    "notifications_notification",
)

# What a night has left, without ids that differ from one time to the next: rows of (table, what, number, checksum).
STATE = """
WITH organisation AS (SELECT id FROM mentors_organisation WHERE slug = 'bench'),
     mentor AS (SELECT * FROM mentors_mentor WHERE organisation_id = (SELECT id FROM organisation))
SELECT 'ledger', action || ' ' || status || ' ' || (outcome #>> '{0,code}'), count(*),
       sum(hashtext(concat_ws('|', dedupe_key, mentor_id, certification_id, type, number, expires_on, stage)))
FROM cronjobs_runitem WHERE mentor_id IN (SELECT id FROM mentor) GROUP BY 2
UNION ALL
SELECT 'mentors', concat_ws(' ', status, pause_cause), count(*), sum(hashtext(id || pause_reason::text))
FROM mentor GROUP BY 2
UNION ALL
SELECT 'history', concat_ws(' ', status, pause_cause), count(*), sum(hashtext(id || pause_reason::text))
FROM mentors_mentorevent WHERE pgh_label = 'update' AND id IN (SELECT id FROM mentor) GROUP BY 2
UNION ALL
SELECT 'status changes', from_status || ' to ' || to_status, count(*),
       sum(hashtext(concat_ws('|', mentor_id, cause, reason, paused_for, business_date)))
FROM mentors_statuschange WHERE mentor_id IN (SELECT id FROM mentor) GROUP BY 2
UNION ALL
SELECT 'messages', concat_ws(' ', kind, channel, status), count(*), sum(hashtext(concat_ws('|',
    -- The keys of digests have the run; that of a mentor's reminder ends with the item.
    CASE kind WHEN 'digest' THEN '' WHEN 'handover' THEN ''
        WHEN 'night' THEN regexp_replace(dedupe_key, '^(remind(:[^:]+){3}):[0-9]+(:[a-z]+:mentor)$', '\\1\\3')
        ELSE dedupe_key END,
    digest_id IS NULL, about_id, recipient_user_id, recipient_mentor_id, language,
    regexp_replace(context::text, ', "(item|change|changes)": ([0-9]+|\\[[0-9, ]*\\])', '', 'g')
)))
FROM notifications_notification WHERE organisation_id = (SELECT id FROM organisation) GROUP BY 2
ORDER BY 1, 2
"""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    seconds: float
    state: State
    share: float = 1.0  # of those who are due; the seconds are scaled up by it
    peak_mb: float = 0.0
    read_in_sequence: int = 0  # rows of big tables


def measure_planning(template: str, *, on: date) -> Measurement:
    """Planning alone: find who is due and write the ledger."""
    with clone(template):
        run = nightly.claim_run(
            organisation=_organisation(),
            business_date=on,
            trigger=Run.Trigger.MANUAL,
            actions=nightly.ALL_ACTIONS,
            approved=True,
            now=timezone.now(),
        )
        with transaction.atomic():  # the first time only fetches the pages
            nightly.plan_run(run.pk, now=timezone.now())
            transaction.set_rollback(True)
        began = time.perf_counter()
        nightly.plan_run(run.pk, now=timezone.now())
        seconds = time.perf_counter() - began
        ask("SELECT pg_stat_force_next_flush()")
        [(rows,)] = ask("SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname = ANY(%s)", list(BIG_TABLES))
        return Measurement(seconds=seconds, state=[], read_in_sequence=int(rows))


def measure_night(template: str, *, on: date) -> Measurement:
    """From the claim to the closed run, through a worker with two processes."""
    with clone(template) as database, fleet(database, on=on) as worker:
        began = time.perf_counter()
        run = execute_expiry_check(
            organisation=_organisation(),
            now=timezone.now(),
            business_date=on,
            actions=nightly.ALL_ACTIONS,
            approved=True,
        )
        while is_open(run):
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        peak_mb = peak_memory(worker)
        return Measurement(seconds=seconds, peak_mb=peak_mb, state=ask(STATE))


def measure_statement(template: str, *, on: date) -> Measurement:
    """(a) The limit: one statement."""
    with clone(template):
        organisation = _organisation()
        began = time.perf_counter()
        run_statement(organisation=organisation, on=on, now=timezone.now())
        return Measurement(seconds=time.perf_counter() - began, state=ask(STATE))


def measure_tasks(template: str, *, on: date, at_most: int) -> Measurement:
    """(b) The plain way: one `delay()` and one transaction a mentor, through a worker with two processes."""
    with clone(template) as database, fleet(database, on=on):
        organisation = _organisation()
        due = find_due(organisation, on=on)
        mentor_ids = random.Random(0).sample(due, min(at_most, len(due)))
        began = time.perf_counter()
        run = _begin(organisation, on=on)
        for mentor_id in mentor_ids:
            check_mentor_task.delay(mentor_id, str(run.pk), str(on))
        while run.items.count() < len(mentor_ids):
            time.sleep(0.05)
        _end(run)
        seconds = time.perf_counter() - began
        share = len(mentor_ids) / len(due)
        return Measurement(seconds=seconds / share, share=share, state=ask(STATE))


def measure_loop(template: str, *, on: date, at_most: int) -> Measurement:
    """(c) The same in a loop in one process."""
    with clone(template):
        organisation = _organisation()
        due = find_due(organisation, on=on)
        mentor_ids = random.Random(0).sample(due, min(at_most, len(due)))
        began = time.perf_counter()
        run = _begin(organisation, on=on)
        for mentor_id in mentor_ids:
            check_mentor(mentor_id, run_id=run.pk, on=on)
        _end(run)
        seconds = time.perf_counter() - began
        share = len(mentor_ids) / len(due)
        return Measurement(seconds=seconds / share, share=share, state=ask(STATE))


def find_due(organisation: Organisation, *, on: date) -> list[int]:
    """Return who is due, in id order: the plain way is told, and need not look through everybody."""
    may_be_expired = find_expired_certifications(organisation=organisation, on=on, now=timezone.now())
    may_be_renewed = find_renewed_mentors(organisation=organisation, on=on, now=timezone.now())
    expired = [row["mentor_id"] for row in may_be_expired if row["codes"]]
    renewed = [row["mentor_id"] for row in may_be_renewed if not row["codes"]]
    reminded = find_due_reminders(organisation=organisation, on=on).values_list("mentor_id", flat=True)
    return sorted({*expired, *renewed, *reminded})


def _organisation() -> Organisation:
    return Organisation.objects.get(slug=SLUG)


def _begin(organisation: Organisation, *, on: date) -> Run:
    now = timezone.now()
    return Run.objects.create(
        organisation=organisation,
        business_date=on,
        trigger=Run.Trigger.MANUAL,
        actions=list(nightly.ALL_ACTIONS),
        status=Run.Status.RUNNING,
        created_at=now,
        started_at=now,
    )


def _sum_up(run: Run, user_id: int, *, now: datetime) -> None:
    """Write a coordinator's hint who is paused, and the digest that holds all."""
    message = {
        "organisation": run.organisation,
        "recipient_user_id": user_id,
        "run_id": run.pk,
        "language": run.organisation.language,
        "created_at": now,
    }
    told = Notification.objects.filter(run_id=run.pk, channel=INBOX, recipient_user=user_id)
    paused = list(told.filter(kind=Notification.Kind.PAUSE).order_by("about").values_list("about", flat=True))
    if paused:
        chapter_id = Mentor.objects.get(pk=paused[0]).chapter_id  # here a coordinator has one
        Notification.objects.create(
            dedupe_key=f"handover:{run.pk}:{chapter_id}:inbox:{user_id}",
            kind=Notification.Kind.HANDOVER,
            channel=INBOX,
            context={"paused": paused, "chapter_id": chapter_id},
            status=Notification.Status.SENT,
            sent_at=now,
            **message,
        )
    digest = Notification.objects.create(
        dedupe_key=f"digest:{run.pk}:email:{user_id}",
        kind=Notification.Kind.DIGEST,
        channel=EMAIL,
        next_attempt_at=run.organisation.next_sending_time(now),
        **message,
    )
    told.update(digest=digest)


def _end(run: Run) -> None:
    """Write the digests and close the run, the plain way."""
    now = timezone.now()
    counted = run.items.order_by().values_list("action").annotate(Count("pk"))
    run.counts = {action: {"planned": done, "done": done, "skipped": 0, "failed": 0} for action, done in counted}
    told = Notification.objects.filter(run_id=run.pk, channel=INBOX)
    for user_id in list(told.order_by().values_list("recipient_user_id", flat=True).distinct()):
        _sum_up(run, user_id, now=now)
    run.status, run.finished_at = Run.Status.SUCCEEDED, now
    run.save(update_fields=["counts", "status", "finished_at"])
