"""Whose fault it is that a message did not leave, and by which channels it was given up."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("notifications", "0005_left_out_index")]
    operations = [
        migrations.AddField(
            "notification",
            "fault",
            models.CharField(
                blank=True,
                choices=[("recipient", "the recipient's"), ("ourselves", "ours"), ("provider", "the provider's")],
                db_default="",
                default="",
                max_length=9,
                verbose_name="whose fault",
            ),
        ),
        migrations.AddField(
            "notification",
            "given_up",
            ArrayField(
                models.CharField(max_length=10), blank=True, db_default=[], default=list, verbose_name="given up by"
            ),
        ),
        AddIndexConcurrently(
            "notification",
            models.Index(
                fields=["created_at"],
                condition=models.Q(("fault__in", ["ourselves", "provider"])),
                name="notification_ours_to_mend",
            ),
        ),
    ]
