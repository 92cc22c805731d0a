"""An index for what a user has not read, built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                fields=["recipient_user", "-id"],
                condition=models.Q(("channel", "inbox"), ("read_at__isnull", True)),
                name="notification_unread",
            ),
        )
    ]
