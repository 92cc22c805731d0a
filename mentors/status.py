"""Changing the status of mentors: the one place that writes `Mentor.status` and its log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from mentors.models import Mentor, User
from mentors.record_text import RecordText

CHANGE_AND_LOG = """
    WITH wanted AS (
        SELECT * FROM unnest(%(mentor_ids)s::bigint[], %(reasons)s::jsonb[]) AS wanted (mentor_id, reason)
    ), changed AS (
        UPDATE mentors_mentor mentor
        SET status = %(to_status)s, pause_cause = %(pause_cause)s, updated_at = %(at)s,
            pause_reason = CASE WHEN %(to_status)s = 'paused' THEN wanted.reason ELSE '[]' END
        FROM wanted
        WHERE mentor.id = wanted.mentor_id AND mentor.status = %(from_status)s
        RETURNING mentor.id, wanted.reason
    )
    INSERT INTO mentors_statuschange (mentor_id, from_status, to_status, cause, reason, actor_id, run_id, at)
    SELECT id, %(from_status)s, %(to_status)s, %(cause)s, reason, %(actor_id)s, %(run_id)s, %(at)s FROM changed
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
) -> dict[int, int]:
    """Change the mentors (id → reason) that are still `from_status`, and log each change.

    Return the id of its `StatusChange` by mentor id, for those it changed. Change and log are one statement, so
    neither can be without the other (docs/rules.md, invariant 4). `cause` is that of the pause which begins or
    ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            CHANGE_AND_LOG,
            {
                "mentor_ids": list(reasons),
                "reasons": [Jsonb(reason.as_json()) for reason in reasons.values()],
                "from_status": from_status,
                "to_status": to_status,
                "cause": cause,
                "pause_cause": cause if to_status == Mentor.Status.PAUSED else None,
                "actor_id": actor.pk if actor else None,
                "run_id": run_id,
                "at": now,
            },
        )
        return dict(cursor.fetchall())
