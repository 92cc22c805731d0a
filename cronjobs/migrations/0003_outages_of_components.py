"""The words of the field: a part is a component, a silence an outage, and who was told was notified."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

COMPONENTS = [("beat", "beat"), ("broker", "the broker"), ("workers", "the workers"), ("watchdog", "the watchdog")]
KINDS = [
    ("night", "a night is not in order"),
    ("component", "a component does not answer"),
    ("delivery", "messages do not leave"),
    ("deviation", "a night differs from what was expected"),
    ("drift", "beat has another schedule than the job"),
    ("records", "records do not agree with their seals"),
    ("web", "the web server does not answer"),
    ("test", "a test of the alarm"),
]
RENAME_INCIDENTS = """
    UPDATE cronjobs_incident SET kind = '{to}', key = '{to}' || substr(key, length('{of}') + 1) WHERE kind = '{of}'
"""


class Migration(migrations.Migration):
    dependencies = [("cronjobs", "0002_schedules")]
    operations = [
        migrations.RunSQL(
            RENAME_INCIDENTS.format(of="part", to="component"), RENAME_INCIDENTS.format(of="component", to="part")
        ),
        migrations.AlterField("incident", "kind", models.CharField("kind", max_length=9, choices=KINDS)),
        migrations.RenameField("incident", "told_at", "notified_at"),
        migrations.AlterField(
            "incident",
            "notified_at",
            models.DateTimeField(
                "notified at", null=True, help_text="When operations were last told that it is amiss."
            ),
        ),
        migrations.RenameField("heartbeat", "part", "component"),
        migrations.AlterField(
            "heartbeat",
            "component",
            models.CharField("component", max_length=8, choices=COMPONENTS, primary_key=True, serialize=False),
        ),
        migrations.RemoveConstraint("silence", "silence_is_written_once"),
        migrations.RemoveConstraint("silence", "silence_ends_after_it_begins"),
        migrations.RenameIndex("silence", "outage_until", old_name="silence_until"),
        migrations.RenameModel("Silence", "Outage"),
        migrations.RenameField("outage", "part", "component"),
        migrations.AlterField("outage", "component", models.CharField("component", max_length=8, choices=COMPONENTS)),
        migrations.AlterModelOptions("outage", {"verbose_name": "outage", "verbose_name_plural": "outages"}),
        migrations.AddConstraint(
            "outage", UniqueConstraint(fields=["component", "from_at"], name="outage_is_written_once")
        ),
        migrations.AddConstraint(
            "outage", CheckConstraint(condition=Q(until_at__gt=F("from_at")), name="outage_ends_after_it_begins")
        ),
    ]
