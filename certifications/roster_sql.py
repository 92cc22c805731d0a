"""The statements of a roster import, on temporary tables that end with its transaction.

`roster_line` holds the good lines; `roster_mentor` and `roster_certification` each mentor and each certification once,
as its last line has it, with the verdict.
"""

from __future__ import annotations

CREATE_LINES = """
    DROP TABLE IF EXISTS pg_temp.roster_line, pg_temp.roster_mentor, pg_temp.roster_certification;
    CREATE TEMPORARY TABLE roster_line (
        line integer NOT NULL, chapter text NOT NULL, ref text NOT NULL, name text NOT NULL, email text NOT NULL,
        phone text NOT NULL, language text NOT NULL, type_id bigint NOT NULL, number text NOT NULL,
        issued_on date NOT NULL, expires_on date
    ) ON COMMIT DROP
"""
COPY_LINES = "COPY pg_temp.roster_line FROM STDIN"

REFUSE_SECOND_NAMES = """
    DELETE FROM pg_temp.roster_line
    USING (
        SELECT line, name <> first_value(name) OVER (PARTITION BY ref ORDER BY line) AS differs
        FROM pg_temp.roster_line
    ) named
    WHERE named.line = roster_line.line AND named.differs
    RETURNING roster_line.line
"""

# A row for each mentor, as the last line has it.
COMPARE_MENTORS = """
    CREATE TEMPORARY TABLE roster_mentor ON COMMIT DROP AS
    SELECT last.*, chapter.id AS chapter_id, CASE
        WHEN mentor.id IS NULL THEN 'created'
        WHEN (mentor.chapter_id, mentor.name, mentor.email, mentor.phone, mentor.language)
            IS DISTINCT FROM (chapter.id, last.name, last.email, last.phone, last.language) THEN 'updated'
        ELSE 'unchanged'
    END AS verdict
    FROM (
        SELECT DISTINCT ON (ref) line, ref, chapter, name, email, phone, language
        FROM pg_temp.roster_line ORDER BY ref, line DESC
    ) last
    LEFT JOIN mentors_chapter chapter ON chapter.organisation_id = %(organisation)s AND chapter.name = last.chapter
    LEFT JOIN mentors_mentor mentor ON mentor.organisation_id = %(organisation)s AND mentor.ref = last.ref
"""

UPDATE_MENTORS = """
    UPDATE mentors_mentor mentor
    SET chapter_id = roster.chapter_id, name = roster.name, email = roster.email, phone = roster.phone,
        language = roster.language, updated_at = %(now)s
    FROM pg_temp.roster_mentor roster
    WHERE roster.verdict = 'updated' AND mentor.organisation_id = %(organisation)s AND mentor.ref = roster.ref
"""

# The conflict: somebody else enrolled the same mentor since the comparison.
INSERT_MENTORS = """
    INSERT INTO mentors_mentor AS mentor (
        organisation_id, chapter_id, ref, name, email, phone, language, status, pause_reason, listed,
        created_at, updated_at
    )
    SELECT %(organisation)s, chapter_id, ref, name, email, phone, language, 'active', '[]', true, %(now)s, %(now)s
    FROM pg_temp.roster_mentor WHERE verdict = 'created' ORDER BY ref
    ON CONFLICT (organisation_id, ref) DO UPDATE
    SET chapter_id = excluded.chapter_id, name = excluded.name, email = excluded.email, phone = excluded.phone,
        language = excluded.language, updated_at = excluded.updated_at
    WHERE (mentor.chapter_id, mentor.name, mentor.email, mentor.phone, mentor.language)
        IS DISTINCT FROM (excluded.chapter_id, excluded.name, excluded.email, excluded.phone, excluded.language)
"""

# A row for each certification, as the last line has it.
COMPARE_CERTIFICATIONS = """
    CREATE TEMPORARY TABLE roster_certification ON COMMIT DROP AS
    SELECT last.*, mentor.id AS mentor_id, certification.id AS certification_id, CASE
        WHEN certification.id IS NULL THEN 'created'
        WHEN certification.expires_on IS DISTINCT FROM last.expires_on THEN 'updated'
        ELSE 'unchanged'
    END AS verdict
    FROM (
        SELECT DISTINCT ON (ref, type_id, number, issued_on) line, ref, type_id, number, issued_on, expires_on
        FROM pg_temp.roster_line ORDER BY ref, type_id, number, issued_on, line DESC
    ) last
    JOIN mentors_mentor mentor ON mentor.organisation_id = %(organisation)s AND mentor.ref = last.ref
    LEFT JOIN certifications_certification certification
        ON certification.mentor_id = mentor.id AND certification.type_id = last.type_id
        AND certification.number = last.number AND certification.issued_on = last.issued_on
"""

UPDATE_CERTIFICATIONS = """
    UPDATE certifications_certification certification
    SET expires_on = roster.expires_on, updated_at = %(now)s
    FROM pg_temp.roster_certification roster
    WHERE roster.verdict = 'updated' AND certification.id = roster.certification_id
"""

INSERT_CERTIFICATIONS = """
    INSERT INTO certifications_certification AS certification (
        mentor_id, type_id, number, issued_on, expires_on, revoked_reason, created_at, updated_at
    )
    SELECT mentor_id, type_id, number, issued_on, expires_on, '', %(now)s, %(now)s
    FROM pg_temp.roster_certification WHERE verdict = 'created' ORDER BY mentor_id, line LIMIT %(limit)s
    ON CONFLICT (mentor_id, type_id, number, issued_on) DO UPDATE
    SET expires_on = excluded.expires_on, updated_at = excluded.updated_at
    WHERE certification.expires_on IS DISTINCT FROM excluded.expires_on
"""

# The column and the line by which a line is corrected, if it is.
SELECT_VERDICTS = """
    SELECT line.line,
        CASE
            WHEN certification.line <> line.line THEN 'unchanged'
            WHEN 'created' IN (certification.verdict, mentor.verdict) THEN 'created'
            WHEN 'updated' IN (certification.verdict, mentor.verdict) THEN 'updated'
            ELSE 'unchanged'
        END,
        CASE
            WHEN certification.expires_on IS DISTINCT FROM line.expires_on THEN 'expires_on'
            WHEN mentor.chapter <> line.chapter THEN 'chapter'
            WHEN mentor.email <> line.email THEN 'email'
            WHEN mentor.phone <> line.phone THEN 'phone'
            WHEN mentor.language <> line.language THEN 'language'
            ELSE ''
        END,
        CASE
            WHEN certification.line <> line.line THEN certification.line
            WHEN (mentor.chapter, mentor.email, mentor.phone, mentor.language)
                <> (line.chapter, line.email, line.phone, line.language) THEN mentor.line
        END
    FROM pg_temp.roster_line line
    JOIN pg_temp.roster_mentor mentor ON mentor.ref = line.ref
    JOIN pg_temp.roster_certification certification
        ON certification.ref = line.ref AND certification.type_id = line.type_id
        AND certification.number = line.number AND certification.issued_on = line.issued_on
    ORDER BY line.line
"""
