import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0011_keys_of_apps"),
    ]

    operations = [
        migrations.CreateModel(
            name="SecurityEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(verbose_name="time")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("login", "logged in"),
                            ("new_device", "logged in, in a new browser"),
                            ("login_failed", "login failed"),
                            ("login_locked", "login refused, locked"),
                            ("logout", "logged out"),
                            ("session_ended", "a browser was logged out from another"),
                            ("access_ended", "all access was ended"),
                            ("token_issued", "token issued"),
                            ("token_revoked", "token revoked"),
                            ("calendar_made", "calendar got a new address"),
                            ("calendar_revoked", "calendar address revoked"),
                            ("password_changed", "password changed"),
                            ("password_removed", "password taken away"),
                            ("password_link_asked", "link to a new password asked for"),
                            ("factor_enrolled", "second factor set up"),
                            ("factor_removed", "second factor removed"),
                            ("factor_reset", "second factor reset"),
                            ("codes_made", "new codes for paper"),
                            ("email_changed", "e-mail address changed"),
                            ("role_given", "role given"),
                            ("role_changed", "role changed"),
                            ("role_ended", "role ended"),
                            ("operations_given", "made a superuser"),
                            ("operations_ended", "superuser no more"),
                            ("account_opened", "account opened again"),
                            ("account_closed", "account closed"),
                            ("account_removed", "account removed"),
                        ],
                        max_length=20,
                        verbose_name="event",
                    ),
                ),
                (
                    "door",
                    models.CharField(
                        choices=[("desk", "desk"), ("api", "API"), ("command", "command")],
                        max_length=7,
                        verbose_name="by way of",
                    ),
                ),
                (
                    "organisations",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), blank=True, default=list, size=None, verbose_name="read by"
                    ),
                ),
                ("address", models.GenericIPAddressField(null=True, verbose_name="address")),
                ("device", models.CharField(blank=True, max_length=60, verbose_name="device")),
                (
                    "token",
                    models.CharField(
                        blank=True, help_text="How it begins; lets nobody in.", max_length=25, verbose_name="token"
                    ),
                ),
                ("facts", models.JSONField(blank=True, default=dict, verbose_name="facts")),
                (
                    "actor",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: its owner, or operations by a command.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="done by",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Of a role.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="mentors.organisation",
                        verbose_name="organisation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: nobody's.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="security_events",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
            ],
            options={
                "verbose_name": "security event",
                "verbose_name_plural": "security events",
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["user", "-id"], name="security_event_of_user"),
                    models.Index(fields=["kind", "-id"], name="security_event_of_kind"),
                    models.Index(fields=["at"], name="security_event_at"),
                    django.contrib.postgres.indexes.GinIndex(fields=["organisations"], name="security_event_read_by"),
                ],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="securityevent",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="7c2168483b82df4b4b1755fb48a5328766844c40",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_a2cc2",
                    table="mentors_securityevent",
                    when="BEFORE",
                ),
            ),
        ),
    ]
