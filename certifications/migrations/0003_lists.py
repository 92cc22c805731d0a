"""Indexes for the API's lists, built while the table is in use; they take the place of those of two foreign keys."""

from __future__ import annotations

import datetime

import django.core.validators
import django.db.models.deletion
from django.contrib.postgres.indexes import OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Coalesce, Upper

REASONABLE = [
    django.core.validators.MinValueValidator(datetime.date(1900, 1, 1)),
    django.core.validators.MaxValueValidator(datetime.date(2199, 12, 31)),
]
INDEXES = [
    models.Index(fields=["type", "expires_on", "issued_on", "revoked_at"], name="certification_of_type"),
    models.Index(
        Coalesce("expires_on", Value(datetime.date.max), output_field=models.DateField()),
        "id",
        include=["type", "expires_on", "issued_on", "revoked_at"],
        name="certification_by_expiry",
    ),
    models.Index(
        fields=["mentor", "expires_on"],
        include=["id", "type", "issued_on", "revoked_at"],
        name="certification_of_mentor",
    ),
    models.Index(
        fields=["type", "expires_on"],
        condition=models.Q(("revoked_at__isnull", False)),
        name="certification_revoked",
    ),
    models.Index(OpClass(Upper("number"), name="text_pattern_ops"), name="certification_search_number"),
]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("certifications", "0002_lapses_on"), ("mentors", "0003_auditors")]

    operations = [
        *(AddIndexConcurrently(model_name="certification", index=index) for index in INDEXES),
        migrations.AlterField(
            model_name="certification",
            name="mentor",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="certifications",
                to="mentors.mentor",
            ),
        ),
        migrations.AlterField(
            model_name="certification",
            name="type",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="certifications",
                to="certifications.certificationtype",
            ),
        ),
        *(
            migrations.AlterField(model_name=model, name=name, field=field)
            for model in ("certification", "certificationevent")
            for name, field in (
                ("issued_on", models.DateField(validators=REASONABLE)),
                (
                    "expires_on",
                    models.DateField(blank=True, help_text="Empty: open-ended.", null=True, validators=REASONABLE),
                ),
            )
        ),
    ]
