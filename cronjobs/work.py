"""Working through a batch of a run: everything for its mentors in one transaction.

1. Claim the batch's due items, passing over those that another worker has.
2. Lock the mentors in id order (docs/rules.md, lock order).
3. Ask the rules again (rule 8), of the run's day and of today, and change whom they still name.
4. Write the notifications and mark every item, in the same transaction.

A batch that fails leaves nothing behind. It is split into single mentors, so that one bad row stops only itself; a
single mentor's items keep the error and are tried again later, a limited number of times.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min
from psycopg.errors import DeadlockDetected

from certifications.expiry import apply_auto_pause, apply_auto_resume, days_to_ask
from certifications.models import CertificationType
from certifications.reminders import find_reminders_still_due, first_expiry
from cronjobs import record_text
from cronjobs.models import Action, Run, RunItem, RunItemQuerySet
from mentors.models import Mentor
from mentors.record_text import EMPTY, Phrase, RecordText, verbatim
from notifications.answers import Reminded, find_answered
from notifications.models import Notification
from notifications.outbox import Event
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

MARK_ITEMS = """
    UPDATE cronjobs_runitem item
    SET status = verdict.status, outcome = verdict.outcome, type = verdict.type, error = '[]', at = %(at)s
    FROM json_to_recordset(%(verdicts)s) AS verdict (id bigint, status text, outcome jsonb, type text)
    WHERE item.id = verdict.id
"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The mentors of one subtask.

    With `count_attempt_first` the attempt is counted before it begins, in case it kills the worker.
    """

    mentor_ids: Sequence[int]
    count_attempt_first: bool = False
    countdown: int = 0  # seconds


def work_batch(*, run_id: UUID, batch: Batch, now: datetime) -> list[Batch]:
    """Do what is due for the batch; return what is left to do, as smaller or later batches."""
    run = Run.objects.select_related("organisation").get(pk=run_id)
    if not run.is_open:
        return []
    if batch.count_attempt_first:
        tried = _pending_items(run, batch.mentor_ids).exclude(attempts=0, error=EMPTY)
        if len(batch.mentor_ids) > 1 and tried.exists():
            return _split(batch)
        _count_attempt(run, batch, now=now)
    began = monotonic()
    facts = {"run_id": str(run_id), "mentors": len(batch.mentor_ids)}
    try:
        with transaction.atomic():
            items = _act(run, batch.mentor_ids, now=now)
    except Exception as error:
        # Whatever the row does, it must not stop the others: split, or keep the error and try later.
        # The log gets the error's type only: a database error quotes the row.
        seconds, kind = round(monotonic() - began, 3), type(error).__name__
        log.warning("batch failed", event_name="batch_failed", **facts, error=kind, seconds=seconds)
        if isinstance(error.__cause__, DeadlockDetected):  # nothing is wrong with it: at once, and as no attempt
            return [replace(batch, count_attempt_first=False)]
        if len(batch.mentor_ids) > 1:
            return _split(batch)
        return _keep_error(run, batch, error, now=now)
    seconds = round(monotonic() - began, 3)
    counts: dict[str, dict[str, int]] = {}
    for (action, status), count in Counter((item.action, item.status) for item in items).items():
        counts.setdefault(action, {})[status] = count
    log.info("batch done", event_name="batch_done", **facts, counts=counts, seconds=seconds)
    return []


def _count_attempt(run: Run, batch: Batch, *, now: datetime) -> None:
    """Commit one more attempt for a mentor's items, and give up those that had theirs.

    An attempt together with others is none of one's own: it is only written down, so that the next time the batch is
    split.
    """
    with transaction.atomic():
        items = _claim_items(run, batch.mentor_ids, now=now)
        if len(batch.mentor_ids) > 1:
            RunItem.objects.filter(pk__in=[item.pk for item in items]).update(error=record_text.TRIED_TOGETHER())
            return
        exhausted = [item.pk for item in items if item.attempts >= settings.NIGHTLY_MAX_ATTEMPTS]
        RunItem.objects.filter(pk__in=exhausted).update(
            status=RunItem.Status.FAILED, at=now, error=record_text.GIVEN_UP()
        )
        RunItem.objects.pending().filter(pk__in=[item.pk for item in items]).update(attempts=F("attempts") + 1)


def _act(run: Run, mentor_ids: Sequence[int], *, now: datetime) -> list[RunItem]:
    """Return the items that were acted on, each as it is now."""
    items = _claim_items(run, mentor_ids, now=now)
    if not items:
        return items
    list(Mentor.objects.filter(pk__any_of={item.mentor_id for item in items}).locked().values_list("pk"))
    run.organisation.refresh_from_db()  # a setting may have been saved while this waited for the locks
    done = _do_what_is_still_due(run, items, now=now)
    answered = find_answered({item.mentor_id for item in done if item.action == Action.REMIND})
    names = CertificationType.objects.names_of(run.organisation)
    unheard = get_notification_service().announce(
        [_event(item, names, answered) for item in done], organisation=run.organisation, now=now, run_id=run.pk
    )
    _mark(items, done, run=run, now=now, answered=answered, unheard=unheard)
    return items


def _claim_items(run: Run, mentor_ids: Sequence[int], *, now: datetime) -> list[RunItem]:
    """Lock the due items of those mentors whom no other worker has.

    A mentor's first item stands for all of them: two workers with the same batch never share a mentor's items, which
    would be two messages for her (rule 12).
    """
    due = _pending_items(run, mentor_ids).due(now=now)
    firsts = due.order_by().values("mentor").annotate(first=Min("pk")).values_list("first", flat=True)
    mine = due.filter(pk__any_of=list(firsts)).select_for_update(skip_locked=True).values_list("mentor_id", flat=True)
    return list(due.filter(mentor__any_of=list(mine)).order_by("mentor_id", "id").select_for_update())


def _pending_items(run: Run, mentor_ids: Sequence[int]) -> RunItemQuerySet:
    """Return what the run may do for these mentors; a held one leaves its pauses alone."""
    items = RunItem.objects.pending().filter(run=run, mentor__any_of=mentor_ids)
    return items.exclude(action=Action.PAUSE) if run.status == Run.Status.HELD else items


def _do_what_is_still_due(run: Run, items: list[RunItem], *, now: datetime) -> list[RunItem]:
    """Ask the rules again, of the run's day and of today, and change whom they still name; return those items."""
    to_pause, to_resume, to_remind = (
        [item for item in items if item.action == action] for action in (Action.PAUSE, Action.RESUME, Action.REMIND)
    )
    about_run: dict[str, Any] = {
        "organisation": run.organisation,
        "on": run.business_date,
        "now": now,
        "run_id": run.pk,
    }
    paused = apply_auto_pause(mentor_ids=[item.mentor_id for item in to_pause], **about_run) if to_pause else {}
    resumed = apply_auto_resume(mentor_ids=[item.mentor_id for item in to_resume], **about_run) if to_resume else {}
    reminders = find_reminders_still_due(
        certification_ids=[item.certification_id for item in to_remind if item.certification_id],
        organisation=run.organisation,
        on=run.business_date,
        now=now,
    )
    for item in to_pause:  # some of what was planned may have been renewed, or more have lapsed
        item.type = paused.get(item.mentor_id, item.type)
    return [
        *(item for item in to_pause if item.mentor_id in paused),
        *(item for item in to_resume if item.mentor_id in resumed),
        *(item for item in to_remind if (item.certification_id, item.expires_on, item.stage) in reminders),
    ]


def _event(item: RunItem, names: dict[str, str], answered: set[Reminded]) -> Event:
    codes = item.type.split(",") if item.type else []
    facts: dict[str, Any] = {"types": item.type, "names": [names.get(code, code) for code in codes]}
    if item.action == Action.REMIND:
        facts |= {"certification_id": item.certification_id, "expires_on": str(item.expires_on), "stage": item.stage}
    return Event(
        kind=Notification.Kind(item.action),
        mentor_id=item.mentor_id,
        key=item.dedupe_key,
        to_mentor=not _is_answered(item, answered),
        item_id=item.pk if item.action == Action.REMIND else None,
        facts=facts,
    )


def _is_answered(item: RunItem, answered: set[Reminded]) -> bool:
    """Whether the mentor has answered an earlier reminder of the same expiry, and need not be asked again."""
    return item.action == Action.REMIND and (item.certification_id, str(item.expires_on)) in answered


OUTCOMES = {Action.PAUSE: record_text.PAUSED, Action.RESUME: record_text.RESUMED, Action.REMIND: record_text.REMINDED}


def _mark(
    items: list[RunItem],
    done: list[RunItem],
    *,
    run: Run,
    now: datetime,
    answered: set[Reminded],
    unheard: set[str],
) -> None:
    acted_on = {item.pk for item in done}
    mentors = Mentor.objects.in_bulk({item.mentor_id for item in items if item.pk not in acted_on})
    for item in items:
        if item.action == Action.REMIND and item.dedupe_key in unheard:
            item.status, item.outcome = RunItem.Status.SKIPPED, record_text.NOBODY_TO_TELL()
        elif item.pk in acted_on:
            outcome = record_text.ANSWERED if _is_answered(item, answered) else OUTCOMES[Action(item.action)]
            item.status, item.outcome = RunItem.Status.DONE, outcome()
        else:
            item.status = RunItem.Status.SKIPPED
            item.outcome = _why_skipped(item, mentors[item.mentor_id], run, now=now)
    verdicts = [
        {"id": item.pk, "status": item.status, "outcome": item.outcome.as_json(), "type": item.type} for item in items
    ]
    with connection.cursor() as cursor:
        cursor.execute(MARK_ITEMS, {"verdicts": json.dumps(verdicts), "at": now})


# Why nobody is resumed, by the cause of the pause, or the status of who is not paused.
LEFT_ALONE: dict[str, Phrase] = {
    Mentor.PauseCause.MANUAL: record_text.PAUSED_BY_HAND,
    Mentor.PauseCause.CERTIFICATION_REVOKED: record_text.PAUSED_FOR_REVOCATION,
    Mentor.Status.ACTIVE: record_text.IS_ACTIVE,
    Mentor.Status.ENDED: record_text.IS_ENDED,
}


def _why_skipped(item: RunItem, mentor: Mentor, run: Run, *, now: datetime) -> RecordText:
    today = days_to_ask(run.organisation, on=run.business_date, now=now)[-1]
    is_late = today != run.business_date
    match Action(item.action):
        case Action.PAUSE if not run.organisation.auto_pause:
            reason = record_text.NO_PAUSING
        case Action.PAUSE if mentor.status == Mentor.Status.PAUSED:
            reason = record_text.PAUSED_ALREADY
        case Action.PAUSE if mentor.status == Mentor.Status.ENDED:
            reason = record_text.ENDED_ALREADY
        case Action.PAUSE if is_late:
            return record_text.NOT_LAPSED_TODAY(today=today)
        case Action.PAUSE:
            reason = record_text.RENEWED
        case Action.RESUME if not run.organisation.auto_resume:
            reason = record_text.NO_RESUMING
        case Action.RESUME if mentor.pause_cause != Mentor.PauseCause.CERTIFICATION_EXPIRED:
            reason = LEFT_ALONE[mentor.pause_cause or mentor.status]
        case Action.RESUME if is_late:
            return record_text.LAPSED_TODAY(today=today)
        case Action.RESUME:
            reason = record_text.LAPSED_AGAIN
        case Action.REMIND if mentor.status == Mentor.Status.ENDED:
            reason = record_text.IS_ENDED
        case Action.REMIND if item.expires_on and item.expires_on < first_expiry(run.organisation, on=today):
            return record_text.EXPIRED_BY_TODAY(today=today)
        case _:
            reason = record_text.CHANGED
    return reason()


def _split(batch: Batch) -> list[Batch]:
    return [
        Batch(mentor_ids=[mentor_id], count_attempt_first=batch.count_attempt_first) for mentor_id in batch.mentor_ids
    ]


def _keep_error(run: Run, batch: Batch, error: Exception, *, now: datetime) -> list[Batch]:
    """Write the error on the mentor's items; return the batch for later, or nothing once it has failed for good."""
    items = _pending_items(run, batch.mentor_ids)
    items.update(error=verbatim(f"{type(error).__name__}: {error}"[:2000]))
    if not batch.count_attempt_first:
        items.update(attempts=F("attempts") + 1)
    items.filter(attempts__gte=settings.NIGHTLY_MAX_ATTEMPTS).update(status=RunItem.Status.FAILED, at=now)
    attempts = items.values_list("attempts", flat=True).first()
    if attempts is None:
        return []
    countdown = settings.NIGHTLY_RETRY_SECONDS * 2 ** (attempts - 1)
    items.update(at=now + timedelta(seconds=countdown))
    return [Batch(mentor_ids=batch.mentor_ids, countdown=countdown)]
