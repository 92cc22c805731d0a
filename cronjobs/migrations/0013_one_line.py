"""The name of a schedule is one line."""

from __future__ import annotations

from django.db import migrations, models

import mentors.validators


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0012_remove_left_entries"),
    ]

    operations = [
        migrations.AlterField(
            model_name="cronjob",
            name="name",
            field=models.CharField(
                max_length=200, validators=[mentors.validators.validate_one_line], verbose_name="name"
            ),
        ),
    ]
