"""All troubles are looked at, not only what is ours or a provider's to mend."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0006_faults")]
    operations = [
        AddIndexConcurrently(
            "notification",
            models.Index(
                fields=["created_at"], condition=models.Q(("fault", ""), _negated=True), name="notification_in_trouble"
            ),
        ),
        RemoveIndexConcurrently("notification", "notification_ours_to_mend"),
    ]
