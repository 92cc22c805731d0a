"""A mentor's chapter belongs to the mentor's organisation: a foreign key over two columns, which Django lacks."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mentors", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql="""
                ALTER TABLE mentors_mentor ADD CONSTRAINT mentor_chapter_is_of_the_organisation
                FOREIGN KEY (chapter_id, organisation_id) REFERENCES mentors_chapter (id, organisation_id)
                DEFERRABLE INITIALLY DEFERRED
            """,
            reverse_sql="ALTER TABLE mentors_mentor DROP CONSTRAINT mentor_chapter_is_of_the_organisation",
        )
    ]
