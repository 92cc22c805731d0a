"""What the coming night is about to do, by name, as far as it is about mentors whom the user sees.

Made of the very SELECTs that plan a night (`cronjobs/ledger.py`), narrowed to the user's chapters before anything is
looked up: so it costs what is due to them, and all three actions are one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from cronjobs.forecast import next_slot_after
from cronjobs.ledger import ACTION_PLANS
from cronjobs.models import Action, CronJob
from mentors.accounts.scope import Scope
from mentors.models import Mentor, Organisation

MOST = 15

# As SHOW_DUE of the ledger, with the number of all beside the first few.
FIRST_DUE = """
    (WITH due AS MATERIALIZED ({due}), planned AS ({columns})
    SELECT %s AS action, planned.mentor_id, mentor.name, chapter.name AS chapter, planned.type, planned.expires_on,
           planned.stage, count(*) OVER () AS of_all
    FROM planned
    JOIN mentors_mentor mentor ON mentor.id = planned.mentor_id
    JOIN mentors_chapter chapter ON chapter.id = mentor.chapter_id
    WHERE NOT EXISTS (
        SELECT 1 FROM cronjobs_runitem item
        WHERE item.dedupe_key = planned.dedupe_key AND item.status IN ('pending', 'done')
    )
    ORDER BY planned.expires_on, mentor.name, mentor.id, planned.type
    LIMIT %s)
"""


@dataclass(frozen=True, kw_only=True)
class UpcomingItem:
    """Something that is due for a mentor."""

    action: Action
    mentor_id: int
    name: str
    chapter: str
    types: str  # their names
    expires_on: date | None
    stage: int | None


@dataclass(frozen=True, kw_only=True)
class Tonight:
    """The coming night: its first few, pauses before all else, and how many there are of each action."""

    on: date
    begins_at: datetime | None  # None: no schedule is switched on
    due: Sequence[UpcomingItem]
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def preview(
    organisation: Organisation,
    *,
    scope: Scope,
    jobs: Iterable[CronJob],
    newest: date | None,
    type_names: dict[str, str],
    now: datetime,
) -> Tonight:
    """Look ahead to the organisation's coming night; `newest` is the last day that a run was for."""
    begins_at = next_slot_after(newest, organisation=organisation, jobs=jobs, now=now)
    on = organisation.local_date(begins_at or now)
    sees_all = scope.everything or organisation.pk in scope.led
    mentors = None if sees_all else Mentor.objects.of(organisation).filter(scope.mentors()).order_by()
    due, counts = _find_due(organisation, mentors=mentors, on=on, now=now, type_names=type_names)
    return Tonight(on=on, begins_at=begins_at, due=due, counts=counts)


def _find_due(
    organisation: Organisation, *, mentors: QuerySet[Mentor] | None, on: date, now: datetime, type_names: dict[str, str]
) -> tuple[list[UpcomingItem], dict[str, int]]:
    """Return the first few that are due to these mentors, or to all if they are None, and the number of all."""
    parts: list[str] = []
    params: list[Any] = []
    for action in Action:
        with suppress(EmptyResultSet):  # the organisation has switched the action off
            due, values = _select(action, organisation, mentors, on=on, now=now).query.sql_with_params()
            parts.append(FIRST_DUE.format(due=due, columns=ACTION_PLANS[action].columns))
            params += [*values, action, MOST]
    if not parts:
        return [], {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        rows = cursor.fetchall()
    return [_due(row, type_names) for row in rows[:MOST]], {row[0]: row[-1] for row in rows}


def _select(
    action: Action, organisation: Organisation, mentors: QuerySet[Mentor] | None, *, on: date, now: datetime
) -> QuerySet[Any, Any]:
    find_due = partial(ACTION_PLANS[action].find_due, organisation=organisation, on=on, now=now)
    if mentors is None:
        return find_due()
    if action is Action.REMIND:
        return find_due().filter(mentor__in=mentors.values("pk"))
    return find_due(mentor_ids=mentors.values("pk"))


def _due(row: tuple[Any, ...], type_names: dict[str, str]) -> UpcomingItem:
    action, mentor_id, name, chapter, codes, expires_on, stage, _of_all = row
    return UpcomingItem(
        action=Action(action),
        mentor_id=mentor_id,
        name=name,
        chapter=chapter,
        types=", ".join(type_names.get(code, code) for code in codes.split(",") if code),
        expires_on=expires_on,
        stage=stage,
    )
