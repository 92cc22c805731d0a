"""Preferences, answers, bad addresses and webhooks; an inbox row points to the summary that told of it."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import notifications.channels


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0005_lists"),
        ("notifications", "0002_unread"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Answer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "choice",
                    models.CharField(
                        choices=[("renewing", "I am renewing"), ("stopping", "I am stopping"), ("help", "I need help")],
                        max_length=8,
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="BadAddress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(choices=notifications.channels.personal_channel_choices, max_length=10)),
                ("address", models.CharField(max_length=254)),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "bad addresses",
            },
        ),
        migrations.CreateModel(
            name="HostBudget",
            fields=[
                ("host", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("free_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Preference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "channel",
                    models.CharField(
                        choices=notifications.channels.personal_channel_choices, default="email", max_length=10
                    ),
                ),
                (
                    "address",
                    models.CharField(
                        blank=True,
                        help_text="On that channel; empty: the e-mail address or phone on record.",
                        max_length=200,
                    ),
                ),
                (
                    "mail",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("each", "each thing by itself"),
                            ("digest", "one summary a run"),
                            ("weekly", "one summary a week"),
                            ("never", "no summaries, only what needs me"),
                        ],
                        help_text="Of coordinators; empty: as the organisation chose.",
                        max_length=6,
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        blank=True,
                        choices=[("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")],
                        help_text="Of coordinators; empty: the organisation's.",
                        max_length=2,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "url",
                    models.CharField(
                        max_length=500, validators=[django.core.validators.URLValidator(schemes=["https", "http"])]
                    ),
                ),
                ("secret_version", models.PositiveIntegerField(default=1)),
                (
                    "gone_at",
                    models.DateTimeField(
                        blank=True, help_text="Since when it answers that it is gone (410).", null=True
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="notification",
            name="digest",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="told",
                to="notifications.notification",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="channel",
            field=models.CharField(choices=notifications.channels.channel_choices, max_length=10),
        ),
        migrations.AlterField(
            model_name="notification",
            name="kind",
            field=models.CharField(
                choices=[
                    ("remind", "a certification expires soon"),
                    ("pause", "a mentor was paused"),
                    ("resume", "a mentor was resumed"),
                    ("night", "what is due for a mentor"),
                    ("handover", "a paused mentor's work needs somebody else"),
                    ("answer", "a mentor has answered a reminder"),
                    ("bounced", "messages to somebody come back"),
                    ("digest", "what there is to know, in one message"),
                    ("weekly", "what there is to know, once a week"),
                    ("held", "a run waits for a person"),
                    ("no_coordinator", "nobody looks after a mentor"),
                    ("late", "a run is late"),
                    ("failed", "a run failed, in whole or in part"),
                    ("app_gone", "an organisation's app takes no messages any more"),
                ],
                max_length=14,
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="status",
            field=models.CharField(
                choices=[
                    ("queued", "queued"),
                    ("sending", "being sent"),
                    ("sent", "sent"),
                    ("failed", "not delivered"),
                    ("cancelled", "cancelled"),
                ],
                default="queued",
                max_length=9,
            ),
        ),
        migrations.AddField(
            model_name="answer",
            name="mentor",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="answers", to="mentors.mentor"
            ),
        ),
        migrations.AddField(
            model_name="answer",
            name="notification",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="answers",
                to="notifications.notification",
            ),
        ),
        migrations.AddConstraint(
            model_name="badaddress",
            constraint=models.UniqueConstraint(fields=("channel", "address"), name="bad_address_is_marked_once"),
        ),
        migrations.AddField(
            model_name="preference",
            name="mentor",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="preference",
                to="mentors.mentor",
            ),
        ),
        migrations.AddField(
            model_name="preference",
            name="user",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="preference",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="webhook",
            name="organisation",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="webhook", to="mentors.organisation"
            ),
        ),
        migrations.AddConstraint(
            model_name="answer",
            constraint=models.UniqueConstraint(fields=("notification", "choice"), name="answer_is_given_once"),
        ),
        migrations.AddConstraint(
            model_name="preference",
            constraint=models.CheckConstraint(
                condition=models.Q(("mentor__isnull", False), ("user__isnull", False), _connector="XOR"),
                name="preference_is_of_one_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="preference",
            constraint=models.CheckConstraint(
                condition=models.Q(("mentor__isnull", True), models.Q(("language", ""), ("mail", "")), _connector="OR"),
                name="preference_of_mentor_has_no_mail",
            ),
        ),
    ]
