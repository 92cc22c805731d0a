"""Keeping `Mentor.lapses_on` right: whoever writes certifications takes these locks, and each night checks them all.

The computation is in the database (migrations/0002_lapses_on_under_lock.sql), where nothing can pass it by.
"""

from __future__ import annotations

from django.core.exceptions import EmptyResultSet
from django.db import connection

from mentors.models import MentorQuerySet, Organisation

LOCK_ORGANISATIONS = "SELECT 1 FROM mentors_organisation WHERE id IN ({}) ORDER BY id FOR SHARE"


def lock_to_certify(mentors: MentorQuerySet) -> MentorQuerySet:
    """Return the mentors, to be locked when they are read, for a change of their certifications.

    Their organisation's row is shared first, so that neither it nor its types change meanwhile: all of them say when a
    certification lapses. Needs a transaction.
    """
    try:
        organisations, params = mentors.order_by().values("organisation").query.sql_with_params()
    except EmptyResultSet:  # it is clear without the database that there is nobody
        return mentors.locked()
    with connection.cursor() as cursor:
        cursor.execute(LOCK_ORGANISATIONS.format(organisations), params)
    return mentors.locked()


def repair_lapses_on(organisation: Organisation) -> int:
    """Compute `lapses_on` anew for all mentors of the organisation; return for how many it was wrong."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT repair_lapses_on(%s)", [organisation.pk])
        return int(cursor.fetchone()[0])
