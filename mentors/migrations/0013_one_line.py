"""Names of people are one line, and the line ends nowhere for any program: the validator knows more characters."""

from __future__ import annotations

from django.db import migrations, models

import mentors.validators


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0012_security_trail"),
    ]

    operations = [
        migrations.AlterField(
            model_name="mentor",
            name="name",
            field=models.CharField(
                max_length=200, validators=[mentors.validators.validate_one_line], verbose_name="name"
            ),
        ),
        migrations.AlterField(
            model_name="mentor",
            name="ref",
            field=models.CharField(
                help_text="The organisation's own key for the mentor.",
                max_length=50,
                validators=[mentors.validators.validate_one_line],
                verbose_name="ref",
            ),
        ),
        migrations.AlterField(
            model_name="mentorevent",
            name="name",
            field=models.CharField(
                max_length=200, validators=[mentors.validators.validate_one_line], verbose_name="name"
            ),
        ),
        migrations.AlterField(
            model_name="mentorevent",
            name="ref",
            field=models.CharField(
                help_text="The organisation's own key for the mentor.",
                max_length=50,
                validators=[mentors.validators.validate_one_line],
                verbose_name="ref",
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="first_name",
            field=models.CharField(
                blank=True, max_length=150, validators=[mentors.validators.validate_one_line], verbose_name="first name"
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="last_name",
            field=models.CharField(
                blank=True, max_length=150, validators=[mentors.validators.validate_one_line], verbose_name="last name"
            ),
        ),
    ]
