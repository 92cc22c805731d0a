from django.db import migrations

# Of jobs that went with their organisation: they fire for nobody.
REMOVE = """
    DELETE FROM django_celery_beat_periodictask entry
    WHERE task = 'cronjobs.nightly'
        AND NOT EXISTS (SELECT FROM cronjobs_cronjob job WHERE job.periodic_task_id = entry.id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0011_take_entries_along"),
    ]

    operations = [migrations.RunSQL(REMOVE, migrations.RunSQL.noop)]
