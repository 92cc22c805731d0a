import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import mentors.models.organisations


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0008_hash_codes_on_paper"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="access_key",
            field=models.CharField(
                db_default="",
                default=mentors.models.organisations.make_access_key,
                editable=False,
                max_length=32,
            ),
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "session_key",
                    models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name="session key"),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("device", models.CharField(default="", editable=False, max_length=100, verbose_name="device")),
                ("began_at", models.DateTimeField(editable=False, verbose_name="began at")),
                ("seen_at", models.DateTimeField(editable=False, verbose_name="last seen at")),
                (
                    "user",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
            },
        ),
    ]
