"""The limit: the whole night as one hand-written statement, for this dataset, which knows nothing of workers or faults.

It finds who is due by the same rules and leaves the same rows: the run, the ledger, the mentors, their status changes,
the messages and the digests. It trusts that nobody is due for two things, that every chapter has a coordinator, and
that nothing goes wrong.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import uuid4

from django.db import connection, transaction

from mentors.models import Organisation

NIGHT = """
WITH covering AS NOT MATERIALIZED (
    SELECT certification.mentor_id, certification.type_id, certification.issued_on,
           lapses_on(certification.expires_on, %(through)s, type.grace_days) AS lapses_on
    FROM certifications_certification certification
    JOIN certifications_certificationtype type ON type.id = certification.type_id
    WHERE certification.revoked_at IS NULL
), lapsed AS NOT MATERIALIZED (
    SELECT certification.mentor_id, type.code
    FROM certifications_certification certification
    JOIN certifications_certificationtype type ON type.id = certification.type_id AND type.required
    WHERE certification.revoked_at IS NULL AND certification.issued_on <= %(on)s
      AND NOT EXISTS (
          SELECT 1 FROM covering
          WHERE covering.mentor_id = certification.mentor_id AND covering.type_id = certification.type_id
            AND covering.issued_on <= %(on)s AND (covering.lapses_on > %(on)s OR covering.lapses_on IS NULL)
      )
      AND NOT EXISTS (
          SELECT 1 FROM certifications_exemption exemption
          WHERE exemption.mentor_id = certification.mentor_id AND exemption.type_id = certification.type_id
            AND %(on)s BETWEEN exemption.from_on AND exemption.until_on
      )
), due AS MATERIALIZED (
    SELECT 'pause' AS action, mentor.id AS mentor_id, mentor.chapter_id, mentor.email, mentor.language,
           NULL::bigint AS certification_id, named.codes AS type,
           '' AS number, NULL::date AS expires_on, NULL::integer AS stage,
           'pause:' || mentor.id || ':' || COALESCE((
               SELECT max(id) FROM mentors_statuschange WHERE mentor_id = mentor.id AND to_status = 'active'
           ), 0) AS key
    FROM mentors_mentor mentor
    CROSS JOIN LATERAL (
        SELECT string_agg(DISTINCT lapsed.code, ',' ORDER BY lapsed.code) AS codes
        FROM lapsed WHERE lapsed.mentor_id = mentor.id
    ) named
    WHERE mentor.organisation_id = %(organisation)s AND mentor.status = 'active' AND mentor.lapses_on <= %(on)s
      AND named.codes IS NOT NULL
    UNION ALL
    SELECT 'resume', mentor.id, mentor.chapter_id, mentor.email, mentor.language, NULL, '', '', NULL, NULL,
           'resume:' || mentor.id || ':' || COALESCE((
               SELECT max(id) FROM mentors_statuschange WHERE mentor_id = mentor.id AND to_status = 'paused'
           ), 0)
    FROM mentors_mentor mentor
    WHERE mentor.organisation_id = %(organisation)s AND mentor.status = 'paused'
      AND mentor.pause_cause = 'certification_expired' AND mentor.lapses_on > %(on)s
      AND NOT EXISTS (SELECT 1 FROM lapsed WHERE lapsed.mentor_id = mentor.id)
    UNION ALL
    SELECT 'remind', mentor.id, mentor.chapter_id, mentor.email, mentor.language, certification.id, type.code,
           certification.number, certification.expires_on, stage.days,
           'remind:' || certification.id || ':' || certification.expires_on || ':' || stage.days
    FROM certifications_certification certification
    JOIN certifications_certificationtype type ON type.id = certification.type_id
    JOIN mentors_mentor mentor ON mentor.id = certification.mentor_id
    JOIN LATERAL (
        SELECT min(days) AS days FROM unnest(%(stages)s::integer[]) AS days
        WHERE certification.expires_on - %(on)s <= days
    ) stage ON true
    WHERE mentor.organisation_id = %(organisation)s AND mentor.status <> 'ended'
      AND certification.revoked_at IS NULL AND certification.issued_on <= %(on)s
      AND certification.expires_on BETWEEN %(on)s + 1 - %(through)s::integer AND %(on)s + %(last_stage)s
      AND NOT EXISTS (
          SELECT 1 FROM certifications_certification later
          WHERE later.mentor_id = certification.mentor_id AND later.type_id = certification.type_id
            AND later.revoked_at IS NULL
            AND (later.expires_on IS NULL OR later.expires_on > certification.expires_on)
            AND later.issued_on <= certification.expires_on + %(through)s::integer
      )
), run AS (
    INSERT INTO cronjobs_run (
        id, organisation_id, business_date, trigger, actions, dry_run, approved, requested_by, status, counts,
        already_handled, created_at, started_at, finished_at, concluded_at, error, cause, deviation, code_version
    )
    SELECT %(run)s, %(organisation)s, %(on)s, 'manual', '{pause,resume,remind}', false, true, '', 'succeeded', counts.*,
           0, %(now)s, %(now)s, %(now)s, %(now)s, '[]', '[]', '[]', ''
    FROM (
        SELECT jsonb_object_agg(action, jsonb_build_object('planned', n, 'done', n, 'skipped', 0, 'failed', 0))
        FROM (SELECT action, count(*) AS n FROM due GROUP BY action) counted
    ) counts
    RETURNING counts
), item AS (
    INSERT INTO cronjobs_runitem (
        run_id, action, dedupe_key, mentor_id, certification_id, type, number, expires_on, stage, status, outcome,
        error, attempts, at
    )
    SELECT %(run)s, action, key, mentor_id, certification_id, type, number, expires_on, stage, 'done',
           jsonb_build_array(jsonb_build_object('code', CASE action
               WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'resumed' ELSE 'reminded'
           END)), '[]', 0, %(now)s
    FROM due ORDER BY mentor_id
    ON CONFLICT (dedupe_key) WHERE status IN ('pending', 'done') DO NOTHING
), changed AS (
    UPDATE mentors_mentor mentor
    SET status = CASE due.action WHEN 'pause' THEN 'paused' ELSE 'active' END,
        pause_cause = CASE due.action WHEN 'pause' THEN 'certification_expired' END,
        pause_reason = CASE due.action WHEN 'pause' THEN jsonb_build_array(jsonb_build_object(
            'code', 'lapsed', 'types', string_to_array(due.type, ',')
        )) ELSE '[]' END,
        updated_at = %(now)s
    FROM due WHERE due.action IN ('pause', 'resume') AND mentor.id = due.mentor_id
    RETURNING mentor.id, due.action, due.type
), logged AS (
    INSERT INTO mentors_statuschange (
        mentor_id, from_status, to_status, cause, reason, run_id, at, paused_for, business_date
    )
    SELECT id, CASE action WHEN 'pause' THEN 'active' ELSE 'paused' END,
           CASE action WHEN 'pause' THEN 'paused' ELSE 'active' END, 'certification_expired',
           jsonb_build_array(CASE action
               WHEN 'pause' THEN jsonb_build_object('code', 'lapsed', 'types', string_to_array(type, ','))
               ELSE jsonb_build_object('code', 'not_lapsed')
           END), %(run)s, %(now)s,
           CASE action WHEN 'pause' THEN ARRAY(
               SELECT id FROM certifications_certificationtype
               WHERE organisation_id = %(organisation)s AND code = ANY (string_to_array(changed.type, ','))
               ORDER BY code
           ) END, %(on)s
    FROM changed
), event AS MATERIALIZED (
    SELECT *, jsonb_build_object('events', jsonb_build_array(
        jsonb_build_object('kind', action, 'key', key, 'types', type, 'names', ARRAY(
            SELECT named.name FROM unnest(string_to_array(type, ',')) WITH ORDINALITY AS listed (code, place)
            JOIN certifications_certificationtype named ON named.code = listed.code
                 AND named.organisation_id = %(organisation)s
            ORDER BY place
        ))
        || CASE action WHEN 'remind' THEN jsonb_build_object(
               'certification_id', certification_id, 'expires_on', expires_on, 'stage', stage
           ) ELSE '{}' END
    )) AS context
    FROM due
), summary AS (
    INSERT INTO notifications_notification (
        dedupe_key, organisation_id, kind, channel, recipient_user_id, run_id, language, context, status, attempts,
        next_attempt_at, message_id, error, created_at
    )
    SELECT 'digest:' || %(run)s || ':email:' || user_id, %(organisation)s, 'digest', 'email', user_id, %(run)s,
           %(language)s, '{}', 'queued', 0, %(leaves_at)s, '', '[]', %(now)s
    FROM (
        SELECT DISTINCT role.user_id FROM due JOIN mentors_coordinatorrole role ON role.chapter_id = due.chapter_id
    ) told
    RETURNING id, recipient_user_id
), message AS (
    SELECT key || ':inbox:' || role.user_id AS dedupe_key, action AS kind, 'inbox' AS channel,
           role.user_id AS recipient_user_id, NULL::bigint AS recipient_mentor_id, mentor_id AS about_id,
           %(language)s AS language, context, 'sent' AS status, NULL::timestamptz AS next_attempt_at,
           %(now)s::timestamptz AS sent_at
    FROM event JOIN mentors_coordinatorrole role ON role.chapter_id = event.chapter_id
    UNION ALL
    SELECT key || ':email:mentor', 'night', 'email', NULL, mentor_id, mentor_id, language, context, 'queued',
           %(leaves_at)s, NULL
    FROM event WHERE email <> ''
    UNION ALL
    SELECT 'handover:' || %(run)s || ':' || due.chapter_id || ':inbox:' || role.user_id, 'handover', 'inbox',
           role.user_id, NULL, NULL, %(language)s, jsonb_build_object(
               'paused', jsonb_agg(due.mentor_id ORDER BY due.mentor_id), 'chapter_id', due.chapter_id
           ), 'sent', NULL, %(now)s
    FROM due JOIN mentors_coordinatorrole role ON role.chapter_id = due.chapter_id
    WHERE due.action = 'pause' GROUP BY due.chapter_id, role.user_id
)
INSERT INTO notifications_notification (
    dedupe_key, organisation_id, kind, channel, recipient_user_id, recipient_mentor_id, about_id, run_id, language,
    context, status, attempts, next_attempt_at, sent_at, message_id, error, created_at, digest_id
)
SELECT dedupe_key, %(organisation)s, kind, channel, message.recipient_user_id, recipient_mentor_id, about_id, %(run)s,
       language, context, status, 0, next_attempt_at, sent_at, '', '[]', %(now)s, summary.id
FROM message LEFT JOIN summary ON summary.recipient_user_id = message.recipient_user_id
ON CONFLICT (dedupe_key) DO NOTHING
"""


def run_statement(*, organisation: Organisation, on: date, now: datetime) -> None:
    """Do the night at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            NIGHT,
            {
                "organisation": organisation.pk,
                "language": organisation.language,
                "through": organisation.valid_through_expiry_day,
                "stages": organisation.reminder_days,
                "last_stage": max(organisation.reminder_days),
                "leaves_at": organisation.next_sending_time(now),
                "run": str(uuid4()),
                "on": on,
                "now": now,
            },
        )
