"""Reads from the database, with SQL of its own, what the model of the rules judges."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from tests.support import model

Row = TypeVar("Row")

ORGANISATIONS = """
    SELECT id, timezone, auto_pause, auto_resume, reminder_days, valid_through_expiry_day FROM mentors_organisation
"""
TYPES = "SELECT id, organisation_id, code, required, grace_days FROM certifications_certificationtype"
MENTORS = """
    SELECT id, organisation_id, chapter_id, ref, name, email, listed, status, pause_cause, lapses_on
    FROM mentors_mentor ORDER BY id
"""
CERTIFICATIONS = """
    SELECT id, mentor_id, type_id, number, issued_on, expires_on, revoked_at IS NOT NULL AS revoked
    FROM certifications_certification ORDER BY id
"""
EXEMPTIONS = "SELECT mentor_id, type_id, from_on, until_on FROM certifications_exemption"
EXTENDED = """
    SELECT certification_id, bool_and(undone_at IS NOT NULL)
    FROM certifications_extendedcertification extended
    JOIN certifications_extension extension ON extension.id = extended.extension_id
    GROUP BY certification_id
"""
ROLES = """
    SELECT role.user_id, role.organisation_id, role.chapter_id
    FROM mentors_coordinatorrole role JOIN mentors_user ON mentors_user.id = role.user_id
    WHERE role.duty = 'coordinator' AND mentors_user.is_active
"""
CHANGES = """
    SELECT id, mentor_id, from_status, to_status, cause, actor_id IS NOT NULL AS by_person, run_id, at,
           ARRAY(SELECT code FROM certifications_certificationtype type WHERE type.id = ANY (paused_for)) AS types,
           business_date
    FROM mentors_statuschange ORDER BY id
"""
RUNS = """
    SELECT run.id, run.organisation_id, business_date, actions, status, counts, approved, run.created_at, finished_at,
           (scheduled_for AT TIME ZONE organisation.timezone)::date AS slot_on
    FROM cronjobs_run run JOIN mentors_organisation organisation ON organisation.id = run.organisation_id
    WHERE NOT dry_run
"""
ITEMS = """
    SELECT id, run_id, action, dedupe_key, mentor_id, certification_id, expires_on, stage, status,
           outcome -> 0 ->> 'code' AS outcome
    FROM cronjobs_runitem ORDER BY id
"""
MESSAGES = """
    SELECT id, organisation_id, kind, channel, recipient_user_id AS user_id, recipient_mentor_id AS mentor_id, about_id,
           run_id, context, status, message_id
    FROM notifications_notification ORDER BY id
"""

HISTORY = "SELECT pgh_obj_id, status FROM mentors_mentorevent ORDER BY pgh_id"


def read_state(connection: psycopg.Connection[Any]) -> model.State:
    """Return what is committed now."""

    def rows(query: str, kind: type[Row]) -> list[Row]:
        with connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query).fetchall()

    return model.State(
        organisations={row.id: row for row in rows(ORGANISATIONS, model.Organisation)},
        types={row.id: row for row in rows(TYPES, model.Type)},
        mentors={row.id: row for row in rows(MENTORS, model.Mentor)},
        certifications=rows(CERTIFICATIONS, model.Certification),
        exemptions=rows(EXEMPTIONS, model.Exemption),
        extended=dict(connection.execute(EXTENDED).fetchall()),
        roles=rows(ROLES, model.Role),
        changes=rows(CHANGES, model.Change),
        runs={row.id: row for row in rows(RUNS, model.Run)},
        items=rows(ITEMS, model.Item),
        messages={row.id: row for row in rows(MESSAGES, model.Message)},
        history=connection.execute(HISTORY).fetchall(),
    )


def differ(one: model.State, other: model.State) -> bool:
    """Whether anything has changed between the two."""
    return any(getattr(one, each.name) != getattr(other, each.name) for each in fields(model.State))
