"""Finds the few messages that left something out; built beside a service that goes on."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0004_left_out")]
    operations = [
        AddIndexConcurrently(
            "notification",
            models.Index(
                fields=["run_id"],
                condition=models.Q(("left_out", []), _negated=True),
                name="notification_left_out",
            ),
        ),
    ]
