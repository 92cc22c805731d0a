"""A number and the name of a type are one line."""

from __future__ import annotations

from django.db import migrations, models

import mentors.validators


class Migration(migrations.Migration):
    dependencies = [
        ("certifications", "0003_check_lapses_on_in_one_pass"),
    ]

    operations = [
        migrations.AlterField(
            model_name="certification",
            name="number",
            field=models.CharField(
                blank=True, max_length=50, validators=[mentors.validators.validate_one_line], verbose_name="number"
            ),
        ),
        migrations.AlterField(
            model_name="certificationevent",
            name="number",
            field=models.CharField(
                blank=True, max_length=50, validators=[mentors.validators.validate_one_line], verbose_name="number"
            ),
        ),
        migrations.AlterField(
            model_name="certificationtype",
            name="name",
            field=models.CharField(
                max_length=200, validators=[mentors.validators.validate_one_line], verbose_name="name"
            ),
        ),
    ]
