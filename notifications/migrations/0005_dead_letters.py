"""The index of messages that were given up, built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0004_summaries")]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                fields=["channel"], condition=models.Q(("status", "failed")), name="notification_dead_letters"
            ),
        )
    ]
