"""The index of messages that are tried again and again, built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0005_dead_letters")]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                fields=["created_at"],
                condition=models.Q(("attempts__gte", 2), ("status__in", ["queued", "sending"])),
                name="notification_tried_again",
            ),
        )
    ]
