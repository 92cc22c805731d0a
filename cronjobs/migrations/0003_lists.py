"""Indexes for the API's lists of runs, built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

INDEXES = [
    models.Index(fields=["cron_job", "-created_at"], name="run_of_job_newest_first"),
    models.Index(fields=["-created_at"], name="run_newest_of_all"),
    models.Index(fields=["organisation", "business_date"], name="run_of_day"),
]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("cronjobs", "0002_sweep_schedule")]

    operations = [AddIndexConcurrently(model_name="run", index=index) for index in INDEXES]
