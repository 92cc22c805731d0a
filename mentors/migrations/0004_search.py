"""Mentors are found by the beginnings of the words of their name, and by their ref. Built while the table is in use."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently
from django.contrib.postgres.search import SearchVector
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mentors", "0003_auditors")]

    operations = [
        AddIndexConcurrently(
            model_name="mentor",
            index=GinIndex(SearchVector("name", config="simple"), name="mentor_search_name"),
        ),
        AddIndexConcurrently(
            model_name="mentor",
            index=models.Index(OpClass(Upper("ref"), name="text_pattern_ops"), name="mentor_search_ref"),
        ),
    ]
