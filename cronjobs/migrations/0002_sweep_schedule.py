"""The sweep's beat entry. From here on the database owns it: change it in the admin, and a restart leaves it so."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def schedule_sweep(apps: Any, schema_editor: Any) -> None:
    every, _created = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=2, period="minutes"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="sweep", defaults={"task": "cronjobs.sweep", "interval": every}
    )


def unschedule_sweep(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name="sweep").delete()


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0001_initial"), ("django_celery_beat", "0019_alter_periodictasks_options")]

    operations = [migrations.RunPython(schedule_sweep, unschedule_sweep)]
