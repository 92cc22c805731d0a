"""Say of the pauses of before what they were for, as far as their reasons, or the items of their runs, tell."""

from django.db import migrations

# A reason that was written before ADR 22 is a sentence; then the item has the codes.
BACKFILL = """
    SET LOCAL pgtrigger.ignore = '{pgtrigger_append_only_d93d9}';
    UPDATE mentors_statuschange change
    SET paused_for = (
        SELECT array_agg(type.id ORDER BY type.code)
        FROM certifications_certificationtype type
        WHERE type.organisation_id = mentor.organisation_id AND type.code = ANY (COALESCE(
            (SELECT array_agg(said.lapsed) FROM jsonb_array_elements_text(
                jsonb_path_query_first(change.reason, '$[*] ? (@.code == "lapsed").types')
            ) said (lapsed)),
            (SELECT string_to_array(item.type, ',') FROM cronjobs_runitem item
             WHERE item.run_id = change.run_id AND item.mentor_id = change.mentor_id AND item.action = 'pause'
             ORDER BY item.id LIMIT 1)
        ))
    )
    FROM mentors_mentor mentor
    WHERE mentor.id = change.mentor_id
      AND change.to_status = 'paused' AND change.cause = 'certification_expired' AND change.paused_for IS NULL;
    UPDATE mentors_statuschange change
    SET business_date = run.business_date
    FROM cronjobs_run run
    WHERE run.id = change.run_id AND change.business_date IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0006_ledger_keeps_removed_certifications"),
        ("certifications", "0001_initial"),
        ("mentors", "0003_what_a_pause_is_for"),
    ]
    operations = [migrations.RunSQL(BACKFILL, migrations.RunSQL.noop)]
