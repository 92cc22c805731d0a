"""What is offered is no role until it is accepted: also to those who were invited before, and have never come."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

NEVER_CAME = """
    user_id IN (
        SELECT id FROM mentors_user
        WHERE password LIKE '!%' AND last_login IS NULL AND is_active
          AND NOT EXISTS (SELECT FROM knox_authtoken WHERE knox_authtoken.user_id = mentors_user.id)
    )
"""
OFFER = f"""
    INSERT INTO mentors_invitation (user_id, duty, organisation_id, chapter_id, sent_at)
    SELECT user_id, duty, organisation_id, chapter_id, now() FROM mentors_coordinatorrole WHERE {NEVER_CAME};
    DELETE FROM mentors_coordinatorrole WHERE {NEVER_CAME};
"""  # noqa: S608 (both are of this file)
GIVE = """
    INSERT INTO mentors_coordinatorrole (user_id, duty, organisation_id, chapter_id)
    SELECT user_id, duty, organisation_id, chapter_id FROM mentors_invitation
    ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0009_access_and_sessions"),
        ("knox", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "duty",
                    models.CharField(
                        choices=[
                            ("coordinator", "looks after mentors"),
                            ("auditor", "reads the organisation's runs"),
                        ],
                        max_length=11,
                        verbose_name="duty",
                    ),
                ),
                ("sent_at", models.DateTimeField(verbose_name="sent at")),
                (
                    "chapter",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="mentors.chapter",
                        verbose_name="chapter",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="mentors.organisation",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "invitation",
                "verbose_name_plural": "invitations",
                "ordering": ("-sent_at",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "duty", "organisation", "chapter"),
                        name="invitation_is_unique",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("duty", "coordinator"), ("chapter__isnull", True), _connector="OR"),
                        name="auditor_is_invited_to_the_whole_organisation",
                    ),
                ],
            },
        ),
        migrations.RunSQL(OFFER, GIVE),
    ]
