"""The index of runs that are closed and not concluded, built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("cronjobs", "0005_conclude_past_runs")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(fields=["finished_at"], condition=models.Q(concluded_at=None), name="run_not_concluded"),
        )
    ]
