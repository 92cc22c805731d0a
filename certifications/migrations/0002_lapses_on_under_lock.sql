-- `Mentor.lapses_on` while several write at once, and the search for one that is wrong all the same.
--
-- It derives from certifications, their types and the organisation. Somebody who writes a certification and somebody who
-- saves what it depends on do not see each other's rows before both have committed: each would compute it without the
-- other. So the organisation's row is the lock of it all: whoever writes certifications shares it, whoever changes a
-- type or the organisation has it alone. It comes before the mentors, which are locked in id order (docs/rules.md,
-- lock order); code takes it by `certifications/lapses_on.py`, and hands in psql get it here.

-- What `lapses_on` must be, by mentor.
CREATE VIEW certifications_lapses_on AS
SELECT mentor.id AS mentor_id, mentor.organisation_id, NULLIF(min(held.lapses_on), 'infinity') AS lapses_on
FROM mentors_mentor mentor
JOIN mentors_organisation organisation ON organisation.id = mentor.organisation_id
LEFT JOIN LATERAL (
    SELECT max(COALESCE(
        lapses_on(certification.expires_on, organisation.valid_through_expiry_day, type.grace_days), 'infinity'
    )) AS lapses_on
    FROM certifications_certification certification
    JOIN certifications_certificationtype type ON type.id = certification.type_id AND type.required
    WHERE certification.mentor_id = mentor.id AND certification.revoked_at IS NULL
    GROUP BY certification.type_id
) held ON true
GROUP BY mentor.id;

DROP FUNCTION refresh_lapses_on(bigint[]);

-- Return how many were wrong.
CREATE FUNCTION refresh_lapses_on(mentor_ids bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wrong bigint;
BEGIN
    PERFORM 1 FROM mentors_organisation
    WHERE id IN (SELECT organisation_id FROM mentors_mentor WHERE id = ANY (mentor_ids)) ORDER BY id FOR SHARE;
    PERFORM 1 FROM mentors_mentor WHERE id = ANY (mentor_ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE mentors_mentor mentor SET lapses_on = latest.lapses_on
    FROM certifications_lapses_on latest
    WHERE latest.mentor_id = ANY (mentor_ids)
        AND mentor.id = latest.mentor_id AND mentor.lapses_on IS DISTINCT FROM latest.lapses_on;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN wrong;
END
$$;

CREATE OR REPLACE FUNCTION type_refreshes_lapses_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Before the mentors are looked for: those whose certification is being written now must be among them.
    PERFORM 1 FROM mentors_organisation WHERE id = NEW.organisation_id FOR NO KEY UPDATE;
    PERFORM refresh_lapses_on(ARRAY(
        SELECT DISTINCT mentor_id FROM certifications_certification WHERE type_id = NEW.id
    ));
    RETURN NULL;
END
$$;

-- The same for one organisation, whoever has written past the triggers. It asks what the view asks, in one pass over the
-- certifications in the order of an index: the view asks mentor by mentor, which for all of them takes several times as
-- long. Nothing that is large is joined, so no statistics can lead the planner astray. Whoever seems wrong is computed
-- again under the locks.
CREATE FUNCTION repair_lapses_on(organisation bigint) RETURNS bigint LANGUAGE plpgsql
SET enable_hashagg = off SET work_mem = '64MB' AS $$
DECLARE
    wrong bigint[] := ARRAY(
        SELECT mentor_id FROM (
            SELECT id AS mentor_id, lapses_on AS stored, NULL::date AS lapses_on
            FROM mentors_mentor WHERE organisation_id = organisation
            UNION ALL
            SELECT held.mentor_id, NULL, min(COALESCE(lapses_on(
                NULLIF(held.expires_on, 'infinity'), owner.valid_through_expiry_day, type.grace_days
            ), 'infinity'))
            FROM (
                SELECT mentor_id, type_id, max(COALESCE(expires_on, 'infinity')) AS expires_on
                FROM certifications_certification
                WHERE revoked_at IS NULL AND type_id = ANY (ARRAY(
                    SELECT id FROM certifications_certificationtype WHERE organisation_id = organisation AND required
                ))
                GROUP BY mentor_id, type_id
            ) held
            JOIN certifications_certificationtype type ON type.id = held.type_id
            JOIN mentors_organisation owner ON owner.id = type.organisation_id
            GROUP BY held.mentor_id
        ) compared
        GROUP BY mentor_id
        HAVING max(stored) IS DISTINCT FROM NULLIF(max(lapses_on), 'infinity')
    );
BEGIN
    RETURN CASE WHEN cardinality(wrong) > 0 THEN refresh_lapses_on(wrong) ELSE 0 END;
END
$$;

-- What is wrong by now.
SELECT repair_lapses_on(id) FROM mentors_organisation;
