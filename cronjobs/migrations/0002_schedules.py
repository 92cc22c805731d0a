"""Beat's entries of the sweep and of pruning. From here on the database owns them: what is changed there stays so."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def schedule(apps: Any, schema_editor: Any) -> None:
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule").objects
    entries = apps.get_model("django_celery_beat", "PeriodicTask").objects
    every_other_minute, _ = intervals.get_or_create(every=2, period="minutes")
    daily, _ = intervals.get_or_create(every=1, period="days")
    # A sweep that no worker has taken when the next is due is of no use: without workers they would pile up.
    sweep = {"task": "cronjobs.sweep", "interval": every_other_minute, "expire_seconds": 120}
    entries.get_or_create(name="sweep", defaults=sweep)
    entries.get_or_create(name="prune", defaults={"task": "cronjobs.prune", "interval": daily})


def unschedule(apps: Any, schema_editor: Any) -> None:
    entries = apps.get_model("django_celery_beat", "PeriodicTask").objects
    entries.filter(name__in=["sweep", "prune"]).delete()


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0001_initial"), ("django_celery_beat", "0019_alter_periodictasks_options")]
    operations = [migrations.RunPython(schedule, unschedule)]
