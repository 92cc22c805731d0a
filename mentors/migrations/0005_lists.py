"""Indexes for the API's lists of mentors, built while the table is in use; one takes the place of a foreign key's own.

Beside them what is refused as text: control characters in what stands in one line, and slugs that are addresses of
the service itself. That changes no row.
"""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import mentors.validators

INDEXES = [
    models.Index(fields=["chapter", "name", "id"], name="mentor_of_chapter"),
    models.Index(fields=["organisation", "name", "id"], name="mentor_of_organisation"),
    models.Index(fields=["name", "id"], name="mentor_by_name"),
    models.Index(fields=["ref", "id"], name="mentor_by_ref"),
    models.Index(fields=["status", "pause_cause", "listed", "organisation"], name="mentor_by_status"),
]
ONE_LINE = django.core.validators.RegexValidator(
    "[\\x00-\\x1f\\x7f-\\x9f]", "Write it in one line, without control characters.", inverse_match=True
)
PHONE = django.core.validators.RegexValidator("^\\+[1-9][0-9]{6,14}\\Z", "Write the number as +4712345678 (E.164).")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mentors", "0004_search")]

    operations = [
        *(AddIndexConcurrently(model_name="mentor", index=index) for index in INDEXES),
        migrations.AlterField(
            model_name="mentor",
            name="chapter",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="mentors",
                to="mentors.chapter",
            ),
        ),
        *(
            migrations.AlterField(model_name=model, name=name, field=field)
            for model in ("mentor", "mentorevent")
            for name, field in (
                ("name", models.CharField(max_length=200, validators=[ONE_LINE])),
                ("phone", models.CharField(blank=True, max_length=16, validators=[PHONE])),
                (
                    "ref",
                    models.CharField(
                        help_text="The organisation's own key for the mentor.", max_length=50, validators=[ONE_LINE]
                    ),
                ),
            )
        ),
        migrations.AlterField(
            model_name="organisation",
            name="slug",
            field=models.SlugField(unique=True, validators=[mentors.validators.validate_not_reserved]),
        ),
    ]
