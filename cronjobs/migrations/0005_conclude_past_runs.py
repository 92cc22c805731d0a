"""Runs that were closed before anything followed a close have nothing left to be done."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F


def conclude(apps: Any, schema_editor: Any) -> None:
    closed = apps.get_model("cronjobs", "Run").objects.filter(finished_at__isnull=False)
    closed.update(concluded_at=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0004_watch_and_records")]

    operations = [migrations.RunPython(conclude, migrations.RunPython.noop)]
