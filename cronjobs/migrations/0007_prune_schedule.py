"""The beat entry that prunes old records, once a day. As the sweep's, it belongs to the database from here on."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def schedule_prune(apps: Any, schema_editor: Any) -> None:
    daily, _created = apps.get_model("django_celery_beat", "IntervalSchedule").objects.get_or_create(
        every=1, period="days"
    )
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name="prune", defaults={"task": "cronjobs.prune", "interval": daily}
    )


def unschedule_prune(apps: Any, schema_editor: Any) -> None:
    apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(name="prune").delete()


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0006_runs_to_conclude"), ("django_celery_beat", "0019_alter_periodictasks_options")]

    operations = [migrations.RunPython(schedule_prune, unschedule_prune)]
