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


def to_record_text(model: str, name: str, field: RecordTextField) -> migrations.RunSQL:
    names = {"table": f"notifications_{model}", "column": name}
    return migrations.RunSQL(
        TO_RECORD_TEXT.format(**names),
        TO_TEXT.format(**names),
        state_operations=[migrations.AlterField(model, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]
    operations = [
        to_record_text("notification", "error", RecordTextField("error")),
    ]
