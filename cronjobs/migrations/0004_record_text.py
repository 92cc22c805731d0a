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
WHY = "Why it was missed, had to be made up, or was held up."
HOW = "How it differs from what was expected of the night."


def to_record_text(model: str, name: str, field: RecordTextField) -> migrations.RunSQL:
    names = {"table": f"cronjobs_{model}", "column": name}
    return migrations.RunSQL(
        TO_RECORD_TEXT.format(**names),
        TO_TEXT.format(**names),
        state_operations=[migrations.AlterField(model, name, field)],
    )


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0003_outages_of_components")]
    operations = [
        to_record_text("run", "error", RecordTextField("error")),
        to_record_text("run", "cause", RecordTextField("cause", help_text=WHY)),
        to_record_text(
            "run",
            "deviation",
            RecordTextField("deviation", help_text=HOW),
        ),
        to_record_text("runitem", "outcome", RecordTextField("outcome")),
        to_record_text("runitem", "error", RecordTextField("error")),
        migrations.RenameField("incident", "summary", "title"),
        to_record_text("incident", "title", RecordTextField("title")),
        migrations.AddField("incident", "details", RecordTextField("details")),
    ]
