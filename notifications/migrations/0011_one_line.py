"""An address is one line."""

from __future__ import annotations

from django.db import migrations, models

import mentors.validators


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0010_account_mail_checked"),
    ]

    operations = [
        migrations.AlterField(
            model_name="badaddress",
            name="address",
            field=models.CharField(
                max_length=254, validators=[mentors.validators.validate_one_line], verbose_name="address"
            ),
        ),
        migrations.AlterField(
            model_name="preference",
            name="address",
            field=models.CharField(
                blank=True,
                help_text="On that channel; empty: the e-mail address or phone on record.",
                max_length=200,
                validators=[mentors.validators.validate_one_line],
                verbose_name="address",
            ),
        ),
    ]
