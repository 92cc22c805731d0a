"""What a record says is kept as codes and parameters (ADR 22). What was written before stays, word for word."""

from __future__ import annotations

from django.db import migrations

from mentors.record_text import RecordTextField

TO_RECORD_TEXT = """
    ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} TYPE jsonb USING CASE
        WHEN {column} = '' THEN '[]'
        ELSE jsonb_build_array(jsonb_build_object('code', 'verbatim', 'text', {column}))
    END
"""
TO_TEXT = """
    ALTER TABLE {table} ALTER COLUMN {column} TYPE text USING COALESCE({column} #>> '{{0,text}}', '')
"""
# The type of a column cannot change while a trigger's condition names it. Its comment is django-pgtrigger's hash.
WITHOUT_TRIGGER = """
    DO $$
    DECLARE
        definition text;
        hash text;
    BEGIN
        SELECT pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger') INTO STRICT definition, hash
        FROM pg_trigger WHERE tgname = 'pgtrigger_update_update_0a221';
        DROP TRIGGER pgtrigger_update_update_0a221 ON mentors_mentor;
        {change};
        EXECUTE definition;
        EXECUTE format('COMMENT ON TRIGGER pgtrigger_update_update_0a221 ON mentors_mentor IS %L', hash);
    END $$
"""


def to_record_text(model: str, name: str, field: RecordTextField) -> migrations.RunSQL:
    names = {"table": f"mentors_{model}", "column": name}
    there, back = TO_RECORD_TEXT.format(**names), TO_TEXT.format(**names)
    if model == "mentor":
        there, back = WITHOUT_TRIGGER.format(change=there), WITHOUT_TRIGGER.format(change=back)
    return migrations.RunSQL(
        there,
        back,
        state_operations=[migrations.AlterField(model, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [("mentors", "0001_initial")]
    operations = [
        to_record_text("mentor", "pause_reason", RecordTextField("pause reason")),
        to_record_text("mentorevent", "pause_reason", RecordTextField("pause reason")),
        to_record_text("statuschange", "reason", RecordTextField("reason")),
    ]
