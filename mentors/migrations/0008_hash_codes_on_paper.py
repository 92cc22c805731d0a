"""Codes on paper are kept as hashes; those that were given out stay good."""

from __future__ import annotations

from django.db import migrations

HASH = """
    UPDATE otp_static_statictoken
    SET token = encode(substring(sha256(convert_to(token, 'UTF8')) FROM 1 FOR 12), 'base64')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0007_names_in_one_line"),
        ("otp_static", "0003_add_timestamps"),
    ]
    operations = [migrations.RunSQL(HASH, migrations.RunSQL.noop)]
