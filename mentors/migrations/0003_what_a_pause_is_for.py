"""A status change keeps what a pause was for, and by the rules of which day it was done."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("mentors", "0002_record_text")]
    operations = [
        migrations.AddField(
            "statuschange",
            "paused_for",
            ArrayField(
                models.BigIntegerField(),
                verbose_name="paused for",
                null=True,
                help_text="Ids of the certification types that a pause was for; empty: a person's, or not known.",
            ),
        ),
        migrations.AddField(
            "statuschange",
            "business_date",
            models.DateField(
                "business date", null=True, help_text="The day by whose rules it was done; empty: a person decided."
            ),
        ),
        migrations.AddConstraint(
            "statuschange",
            models.CheckConstraint(
                condition=~Q(from_status=F("to_status"))
                | Q(to_status="paused", cause__in=["manual", "certification_revoked"]),
                name="status_change_changes_something",
            ),
        ),
        migrations.AddConstraint(
            "statuschange",
            models.CheckConstraint(
                condition=Q(paused_for__isnull=True) | Q(to_status="paused"), name="status_change_pauses_for_types"
            ),
        ),
    ]
