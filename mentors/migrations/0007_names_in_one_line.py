"""What stands in one line of a message is one line: what a stored name has besides becomes a space."""

from __future__ import annotations

from django.db import migrations, models

import mentors.validators

CONTROL = r"[\x01-\x1f\x7f-\x9f]"
IN_ONE_LINE = r"""
    UPDATE {table} SET name = left(btrim(regexp_replace(name, '[\x01-\x1f\x7f-\x9f]+', ' ', 'g')), 200)
    WHERE name ~ '[\x01-\x1f\x7f-\x9f]'
"""


def name_of(model: str) -> migrations.AlterField:
    field = models.CharField(max_length=200, validators=[mentors.validators.validate_one_line], verbose_name="name")
    return migrations.AlterField(model, "name", field)


def in_one_line(model: str) -> migrations.AddConstraint:
    condition = models.Q(("name__regex", CONTROL), _negated=True)
    return migrations.AddConstraint(
        model, models.CheckConstraint(condition=condition, name=f"{model}_name_is_one_line")
    )


class Migration(migrations.Migration):
    dependencies = [("mentors", "0006_bound_numbers")]
    operations = [
        migrations.RunSQL(IN_ONE_LINE.format(table="mentors_organisation"), migrations.RunSQL.noop),
        migrations.RunSQL(IN_ONE_LINE.format(table="mentors_chapter"), migrations.RunSQL.noop),
        name_of("organisation"),
        name_of("chapter"),
        in_one_line("organisation"),
        in_one_line("chapter"),
    ]
