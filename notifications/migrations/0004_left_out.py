"""Of what a message to a mentor said nothing, because it was no longer true when it left."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0003_claims")]
    operations = [
        migrations.AddField(
            "notification",
            "left_out",
            ArrayField(models.BigIntegerField(), blank=True, db_default=[], default=list, verbose_name="left out"),
        ),
    ]
