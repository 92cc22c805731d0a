"""A role may be an auditor's, who reads the runs of a whole organisation."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mentors", "0002_chapter_of_the_same_organisation")]

    operations = [
        migrations.RemoveConstraint(model_name="coordinatorrole", name="role_is_unique"),
        migrations.AddField(
            model_name="coordinatorrole",
            name="duty",
            field=models.CharField(
                choices=[("coordinator", "looks after mentors"), ("auditor", "reads the organisation's runs")],
                default="coordinator",
                max_length=11,
            ),
        ),
        migrations.AddConstraint(
            model_name="coordinatorrole",
            constraint=models.UniqueConstraint(
                fields=("user", "duty", "organisation", "chapter"), name="role_is_unique", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="coordinatorrole",
            constraint=models.CheckConstraint(
                condition=models.Q(("duty", "coordinator"), ("chapter__isnull", True), _connector="OR"),
                name="auditor_reads_the_whole_organisation",
            ),
        ),
    ]
