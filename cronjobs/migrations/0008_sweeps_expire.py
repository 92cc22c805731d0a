"""A sweep that no worker has taken when the next is due is of no use any more: without workers they would pile up."""

from __future__ import annotations

from typing import Any

from django.db import migrations

SECONDS = 120


def expire(apps: Any, schema_editor: Any) -> None:
    sweeps = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task="cronjobs.sweep")
    sweeps.filter(expires=None, expire_seconds=None).update(expire_seconds=SECONDS)


def keep(apps: Any, schema_editor: Any) -> None:
    sweeps = apps.get_model("django_celery_beat", "PeriodicTask").objects.filter(task="cronjobs.sweep")
    sweeps.filter(expire_seconds=SECONDS).update(expire_seconds=None)


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0007_prune_schedule")]

    operations = [migrations.RunPython(expire, keep)]
