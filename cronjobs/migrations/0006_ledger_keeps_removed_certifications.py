import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("certifications", "0002_lapses_on_under_lock"), ("cronjobs", "0005_plain_words")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="repaired",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text=(
                    "For how many mentors the day on which they lapse was stored wrongly, and mended before the plan."
                ),
                verbose_name="repaired",
            ),
        ),
        migrations.AlterField(
            model_name="runitem",
            name="certification",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="run_items",
                to="certifications.certification",
                verbose_name="certification",
            ),
        ),
    ]
