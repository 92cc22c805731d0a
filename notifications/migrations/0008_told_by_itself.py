"""What was told by a message of its own is in no summary."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0007_trouble_index")]
    operations = [
        migrations.AddField(
            "notification",
            "told_by_itself",
            models.BooleanField(db_default=False, default=False, verbose_name="told by itself"),
        ),
    ]
