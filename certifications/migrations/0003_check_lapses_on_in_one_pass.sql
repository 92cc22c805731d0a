-- The nightly check of `Mentor.lapses_on`, in one pass: the latest expiry of each required type, mentor by mentor, in the
-- order of an index. It is what the view `certifications_lapses_on` says, because what expires later lapses later; but the
-- view asks for a mentor at a time, which for all of them takes several times as long.
--
-- Only merges are allowed: they cost little more where statistics are old or none, as after an import. In parallel each
-- process would group all certifications. Whoever seems wrong is computed again, by the view and under the locks.
CREATE OR REPLACE FUNCTION repair_lapses_on(organisation bigint) RETURNS bigint LANGUAGE plpgsql
SET enable_hashagg = off SET enable_hashjoin = off SET enable_nestloop = off SET max_parallel_workers_per_gather = 0
SET work_mem = '64MB' AS $$
DECLARE
    required bigint[];
    first_gap text;
    wrong bigint[];
BEGIN
    -- An open-ended certification is one that expires at infinity, and never lapses; LEAST ignores what is NULL.
    SELECT array_agg(type.id), 'LEAST(' || string_agg(format(
        $lapses$ lapses_on(
            NULLIF(max(COALESCE(expires_on, 'infinity')) FILTER (WHERE type_id = %s), 'infinity'), %L, %s
        ) $lapses$, type.id, owner.valid_through_expiry_day, type.grace_days
    ), ', ') || ')'
    INTO required, first_gap
    FROM certifications_certificationtype type
    JOIN mentors_organisation owner ON owner.id = type.organisation_id
    WHERE type.required AND owner.id = organisation;

    EXECUTE format(
        $wrong$
        SELECT array_agg(mentor.id)
        FROM mentors_mentor mentor
        LEFT JOIN (
            SELECT mentor_id, %s AS lapses_on
            FROM certifications_certification
            WHERE revoked_at IS NULL AND type_id = ANY ($2)
            GROUP BY mentor_id
        ) held ON held.mentor_id = mentor.id
        WHERE mentor.organisation_id = $1 AND mentor.lapses_on IS DISTINCT FROM held.lapses_on
        $wrong$, COALESCE(first_gap, 'NULL::date')
    ) INTO wrong USING organisation, required;

    RETURN CASE WHEN wrong IS NULL THEN 0 ELSE refresh_lapses_on(wrong) END;
END
$$;
