from django.db import migrations

# What the constraint of the next migration refuses becomes the most that it takes: a week.
CLAMP = "UPDATE cronjobs_cronjob SET alert_after_minutes = 10080 WHERE alert_after_minutes > 10080"


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0007_what_pauses_were_for"),
    ]

    operations = [migrations.RunSQL(CLAMP, migrations.RunSQL.noop)]
