"""Whose a message is while it is sent, and whether somebody may have received what nobody confirmed."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_record_text")]
    operations = [
        migrations.AddField("notification", "claim", models.UUIDField(null=True, verbose_name="claim")),
        migrations.AddField(
            "notification",
            "in_doubt",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="It was handed over, and no answer came.",
                verbose_name="in doubt",
            ),
        ),
        migrations.AlterField(
            "notification",
            "status",
            models.CharField(
                choices=[
                    ("queued", "queued"),
                    ("sending", "being sent"),
                    ("sent", "sent"),
                    ("failed", "not delivered"),
                    ("cancelled", "cancelled"),
                    ("uncertain", "perhaps received"),
                ],
                default="queued",
                max_length=9,
                verbose_name="status",
            ),
        ),
    ]
