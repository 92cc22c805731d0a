"""The ledger: what is due becomes rows, one statement an action, each thing under its own key.

The SELECT of an action is the same whether it is planned or only shown (a dry run), so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connection
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from certifications.expiry import find_expired_certifications, find_renewed_mentors
from certifications.reminders import find_due_reminders
from cronjobs import record_text
from cronjobs.ledger_rows import ITEM_FIELDS, PLANNED, Row
from cronjobs.models import Action, Run, RunItem
from mentors.models import Organisation
from mentors.record_text import EMPTY, RecordText


def _due_reminders(*, organisation: Organisation, on: date, **_now: datetime) -> QuerySet[Any, Any]:
    reminders = find_due_reminders(organisation=organisation, on=on)
    return reminders.values("id", "mentor_id", "type__code", "number", "expires_on", "stage")


@dataclass(frozen=True)
class ActionPlan:
    """Who is due for an action, and the ledger's rows made of it. `due` stands for the query's rows."""

    find_due: Callable[..., QuerySet[Any, Any]]
    columns: str


# A pause is done once for each active period, a resume once for each pause: the key carries the id of the status
# change that began it, or 0 for a mentor who has been so from the first. A certification that was removed and recorded
# again has another id, and keeps the reminder's key that it had.
ACTION_PLANS = {
    Action.PAUSE: ActionPlan(
        find_expired_certifications,
        """
        SELECT 'pause:' || due.mentor_id || ':' || COALESCE((
                   SELECT max(id) FROM mentors_statuschange
                   WHERE mentor_id = due.mentor_id AND to_status = 'active'
               ), 0) AS dedupe_key,
               due.mentor_id, NULL::bigint AS certification_id, due.codes AS type, '' AS number,
               NULL::date AS expires_on, NULL::smallint AS stage
        FROM due WHERE due.codes IS NOT NULL
        """,
    ),
    Action.RESUME: ActionPlan(
        find_renewed_mentors,
        """
        SELECT 'resume:' || due.mentor_id || ':' || COALESCE((
                   SELECT max(id) FROM mentors_statuschange
                   WHERE mentor_id = due.mentor_id AND to_status = 'paused'
               ), 0) AS dedupe_key,
               due.mentor_id, NULL::bigint AS certification_id, '' AS type, '' AS number,
               NULL::date AS expires_on, NULL::smallint AS stage
        FROM due WHERE due.codes IS NULL
        """,
    ),
    Action.REMIND: ActionPlan(
        _due_reminders,
        """
        SELECT COALESCE((
                   SELECT dedupe_key FROM cronjobs_runitem
                   WHERE mentor_id = due.mentor_id AND action = 'remind' AND status IN ('pending', 'done')
                       AND (type, number, expires_on, stage) = (due.type__code, due.number, due.expires_on, due.stage)
                   LIMIT 1
               ), 'remind:' || due.id || ':' || due.expires_on || ':' || due.stage) AS dedupe_key,
               due.mentor_id, due.id AS certification_id, due.type__code AS type, due.number,
               due.expires_on, due.stage
        FROM due
        """,
    ),
}

INSERT_DUE = """
    WITH due AS MATERIALIZED ({due}), planned AS MATERIALIZED ({columns}), inserted AS (
        INSERT INTO cronjobs_runitem (
            run_id, action, dedupe_key, mentor_id, certification_id, type, number, expires_on, stage,
            status, outcome, error, attempts, at
        )
        SELECT %s, %s, planned.*, 'pending', '[]', '[]', 0, %s FROM planned ORDER BY mentor_id
        ON CONFLICT (dedupe_key) WHERE status IN ('pending', 'done') DO NOTHING
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM planned)
"""

SHOW_DUE = """
    WITH due AS MATERIALIZED ({due}), planned AS ({columns})
    SELECT planned.*, mentor.chapter_id, mentor.ref, mentor.name
    FROM planned
    JOIN mentors_mentor mentor ON mentor.id = planned.mentor_id
    WHERE NOT EXISTS (
        SELECT 1 FROM cronjobs_runitem item
        WHERE item.dedupe_key = planned.dedupe_key AND item.status IN ('pending', 'done')
    )
    ORDER BY mentor.ref, planned.type
"""

# No row travels, and nothing is read that a plan does not read.
COUNT_DUE = """
    WITH due AS MATERIALIZED ({due}), planned AS ({columns})
    SELECT count(*) FROM planned
    WHERE NOT EXISTS (
        SELECT 1 FROM cronjobs_runitem item
        WHERE item.dedupe_key = planned.dedupe_key AND item.status IN ('pending', 'done')
    )
"""


REASONS = {
    Action.PAUSE: record_text.WOULD_PAUSE,
    Action.RESUME: record_text.WOULD_RESUME,
    Action.REMIND: record_text.WOULD_REMIND,
}

# Reminders and grace look some years around the day; the calendar of Python ends at 9999.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, kw_only=True)
class DueItem:
    """What a run would do to one mentor: a row of a dry run."""

    action: Action
    mentor_id: int
    chapter_id: int
    mentor_ref: str
    mentor_name: str
    type: str
    number: str
    expires_on: date | None
    stage: int | None

    @property
    def outcome(self) -> RecordText:
        """What would be done, and by which rule."""
        return REASONS[self.action]()

    def as_row(self) -> Row:
        plan = {"action": self.action.value, "status": PLANNED, "outcome": self.outcome}
        shown = vars(self) | plan | {"error": EMPTY, "attempts": 0, "at": None}
        return {name: shown[name] for name in ITEM_FIELDS}


def check_business_date(on: date) -> None:
    """Raise ValidationError for a day so far off that the rules cannot count from it."""
    if not FIRST_DAY <= on <= LAST_DAY:
        days = {"day": on.isoformat(), "first": FIRST_DAY, "last": LAST_DAY}
        raise ValidationError(_("%(day)s is out of range: choose a day from %(first)s to %(last)s.") % days)


def plan_items(run: Run, *, action: Action, now: datetime) -> tuple[int, int]:
    """Write what is due for the action into the ledger; return how many are new, and how many had their key already."""
    rows = _rows(INSERT_DUE, run.organisation, action, run.business_date, now=now, after=(run.pk, action, now))
    inserted, due = rows[0] if rows else (0, 0)
    return inserted, due - inserted


def show_due_items(*, organisation: Organisation, actions: Iterable[Action], on: date, now: datetime) -> list[DueItem]:
    """Return what a run on the day would do, and write nothing. Raises ValidationError for a day out of range."""
    check_business_date(on)
    items = []
    for action in actions:
        for row in _rows(SHOW_DUE, organisation, action, on, now=now, after=()):
            _key, mentor_id, _certification, type_codes, number, expires_on, stage, chapter_id, ref, name = row
            items.append(
                DueItem(
                    action=action,
                    mentor_id=mentor_id,
                    chapter_id=chapter_id,
                    mentor_ref=ref,
                    mentor_name=name,
                    type=type_codes,
                    number=number,
                    expires_on=expires_on,
                    stage=stage,
                )
            )
    return items


def count_due_items(*, organisation: Organisation, action: Action, on: date, now: datetime) -> int:
    """Return for how many things a run on the day would be the first to do the action, and write nothing."""
    rows = _rows(COUNT_DUE, organisation, action, on, now=now, after=())
    return int(rows[0][0]) if rows else 0


def count_items(run: Run) -> dict[str, dict[str, int]]:
    """Count the run's items by action and status, in one query."""
    counts: dict[str, dict[str, int]] = {
        action: {"planned": 0, "done": 0, "skipped": 0, "failed": 0, "pending": 0} for action in run.actions
    }
    grouped = RunItem.objects.filter(run=run).order_by().values_list("action", "status").annotate(Count("pk"))
    for action, status, count in grouped:
        counts[action][status] = count
    return counts


def _rows(
    template: str, organisation: Organisation, action: Action, on: date, *, now: datetime, after: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    plan = ACTION_PLANS[action]
    try:
        due, params = plan.find_due(organisation=organisation, on=on, now=now).query.sql_with_params()
    except EmptyResultSet:  # the organisation has switched the action off
        return []
    with connection.cursor() as cursor:
        cursor.execute(template.format(columns=plan.columns, due=due), (*params, *after))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
