from pathlib import Path

from django.db import migrations

SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("certifications", "0002_lapses_on_under_lock")]

    # The function serves older code too, so there is nothing to take back.
    operations = [migrations.RunSQL(SQL, reverse_sql=migrations.RunSQL.noop)]
