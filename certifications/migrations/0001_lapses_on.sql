-- Rule 1 as a database function, and the triggers that keep `Mentor.lapses_on` in step with it.
--
-- The night asks "whose `lapses_on` has come?" of an index, instead of computing coverage for everybody who ever held a
-- certification. The date is a search aid: whoever it names is checked against the certifications before anything is
-- done. It is kept by triggers because set-based SQL, imports and hands in psql must not be able to forget it. Whatever
-- it depends on has one: certifications (any change), types (`required`, `grace_days`) and organisations
-- (`valid_through_expiry_day`).

-- Rule 1. Capped at the last date that Python can read; empty (open-ended) never lapses (LEAST alone ignores NULL).
CREATE FUNCTION lapses_on(expires_on date, valid_through_expiry_day boolean, grace_days integer) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN expires_on IS NOT NULL
    THEN LEAST(expires_on + valid_through_expiry_day::integer + grace_days, date '9999-12-31') END;

CREATE FUNCTION refresh_lapses_on(mentor_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- In id order, as everybody locks mentors.
    PERFORM 1 FROM mentors_mentor WHERE id = ANY (mentor_ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE mentors_mentor mentor SET lapses_on = latest.lapses_on
    FROM (
        SELECT candidate.id, NULLIF(min(held.lapses_on), 'infinity') AS lapses_on
        FROM mentors_mentor candidate
        JOIN mentors_organisation organisation ON organisation.id = candidate.organisation_id
        LEFT JOIN LATERAL (
            SELECT max(COALESCE(
                lapses_on(certification.expires_on, organisation.valid_through_expiry_day, type.grace_days), 'infinity'
            )) AS lapses_on
            FROM certifications_certification certification
            JOIN certifications_certificationtype type ON type.id = certification.type_id AND type.required
            WHERE certification.mentor_id = candidate.id AND certification.revoked_at IS NULL
            GROUP BY certification.type_id
        ) held ON true
        WHERE candidate.id = ANY (mentor_ids)
        GROUP BY candidate.id
    ) latest
    WHERE mentor.id = latest.id AND mentor.lapses_on IS DISTINCT FROM latest.lapses_on;
END
$$;

CREATE FUNCTION certification_refreshes_lapses_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    mentor_ids bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(DISTINCT mentor_id) INTO mentor_ids FROM after_rows;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(DISTINCT mentor_id) INTO mentor_ids FROM before_rows;
    ELSE
        SELECT array_agg(DISTINCT mentor_id) INTO mentor_ids
        FROM (SELECT mentor_id FROM before_rows UNION ALL SELECT mentor_id FROM after_rows) touched;
    END IF;
    IF mentor_ids IS NOT NULL THEN
        PERFORM refresh_lapses_on(mentor_ids);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER lapses_on_after_insert AFTER INSERT ON certifications_certification
REFERENCING NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION certification_refreshes_lapses_on();

CREATE TRIGGER lapses_on_after_update AFTER UPDATE ON certifications_certification
REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows
FOR EACH STATEMENT EXECUTE FUNCTION certification_refreshes_lapses_on();

CREATE TRIGGER lapses_on_after_delete AFTER DELETE ON certifications_certification
REFERENCING OLD TABLE AS before_rows
FOR EACH STATEMENT EXECUTE FUNCTION certification_refreshes_lapses_on();

CREATE FUNCTION type_refreshes_lapses_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refresh_lapses_on(ARRAY(
        SELECT DISTINCT mentor_id FROM certifications_certification WHERE type_id = NEW.id
    ));
    RETURN NULL;
END
$$;

CREATE TRIGGER lapses_on_after_update AFTER UPDATE ON certifications_certificationtype
FOR EACH ROW
WHEN (OLD.required IS DISTINCT FROM NEW.required OR OLD.grace_days IS DISTINCT FROM NEW.grace_days)
EXECUTE FUNCTION type_refreshes_lapses_on();

CREATE FUNCTION organisation_refreshes_lapses_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refresh_lapses_on(ARRAY(SELECT id FROM mentors_mentor WHERE organisation_id = NEW.id));
    RETURN NULL;
END
$$;

CREATE TRIGGER lapses_on_after_update AFTER UPDATE ON mentors_organisation
FOR EACH ROW
WHEN (OLD.valid_through_expiry_day IS DISTINCT FROM NEW.valid_through_expiry_day)
EXECUTE FUNCTION organisation_refreshes_lapses_on();
