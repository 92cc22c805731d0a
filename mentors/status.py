"""Changing the status of mentors: the one place that writes `Mentor.status` and its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from uuid import UUID

from django.db import connection
from django.db.models import Max

from mentors.models import Mentor, StatusChange, User
from mentors.record_text import RecordText

CHANGE_AND_LOG = """
    WITH wanted AS (
        SELECT * FROM json_to_recordset(%(wanted)s) AS wanted (mentor_id bigint, reason jsonb, paused_for bigint[])
    ), changed AS (
        UPDATE mentors_mentor mentor
        SET status = %(to_status)s, pause_cause = %(pause_cause)s, updated_at = %(at)s,
            pause_reason = CASE WHEN %(to_status)s = 'paused' THEN wanted.reason ELSE '[]' END
        FROM wanted
        WHERE mentor.id = wanted.mentor_id AND mentor.status = %(from_status)s
        RETURNING mentor.id, wanted.reason, wanted.paused_for
    )
    INSERT INTO mentors_statuschange (
        mentor_id, from_status, to_status, cause, reason, actor_id, run_id, paused_for, business_date, at
    )
    SELECT id, %(from_status)s, %(to_status)s, %(cause)s, reason, %(actor_id)s, %(run_id)s,
           paused_for, %(business_date)s, %(at)s
    FROM changed
    RETURNING mentor_id, id
"""


def change_status(
    reasons: Mapping[int, RecordText],
    *,
    from_status: Mentor.Status,
    to_status: Mentor.Status,
    cause: Mentor.PauseCause | None,
    now: datetime,
    actor: User | None = None,
    run_id: UUID | None = None,
    paused_for: Mapping[int, Sequence[int]] = MappingProxyType({}),
    business_date: date | None = None,
) -> dict[int, int]:
    """Change the mentors (id → reason) that are still `from_status`, and log each change.

    Return the id of its `StatusChange` by mentor id, for those it changed. Change and log are one statement, so
    neither can be without the other (docs/rules.md, invariant 4). `cause` is that of the pause which begins or
    ends; `paused_for` are the ids of the certification types that a pause is for, by mentor, and `business_date` is the
    day by whose rules it is done.
    """
    wanted = [
        {"mentor_id": mentor_id, "reason": reason.as_json(), "paused_for": paused_for.get(mentor_id)}
        for mentor_id, reason in reasons.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            CHANGE_AND_LOG,
            {
                "wanted": json.dumps(wanted),
                "from_status": from_status,
                "to_status": to_status,
                "cause": cause,
                "pause_cause": cause if to_status == Mentor.Status.PAUSED else None,
                "actor_id": actor.pk if actor else None,
                "run_id": run_id,
                "business_date": business_date,
                "at": now,
            },
        )
        return dict(cursor.fetchall())


def latest_changes(mentor_ids: Iterable[int]) -> dict[int, int]:
    """Return the id of each mentor's newest `StatusChange`, by mentor id; who has none is not among them."""
    changes = StatusChange.objects.filter(mentor__any_of=mentor_ids).order_by()
    return dict(changes.values_list("mentor").annotate(latest=Max("pk")))
