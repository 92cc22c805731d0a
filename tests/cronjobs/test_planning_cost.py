"""What planning a night reads, whatever PostgreSQL believes of the tables: after an import it knows nothing of them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, Mentor, Organisation
from tests.support.databases import rows_read
from tests.support.nights import plan_night

MENTORS = 500
TABLES = ["mentors_mentor", "mentors_statuschange", "certifications_certification", "certifications_exemption"]


def believe(tuples: int, pages: int) -> None:
    """Have the planner believe that the tables and their indexes hold this much."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_class SET reltuples = %s, relpages = %s WHERE oid = ANY(%s::regclass[])"
            " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY(%s::regclass[]))",
            [tuples, pages, TABLES, TABLES],
        )


@pytest.mark.parametrize(("tuples", "pages"), [(-1, 0), (0, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("status", [Mentor.Status.ACTIVE, Mentor.Status.PAUSED])
def test_planning_never_compares_all_certifications_with_all_others_for_each_mentor(
    hlf: Organisation,
    oslo: Chapter,
    course: CertificationType,
    secrecy: CertificationType,
    today: date,
    status: Mentor.Status,
    tuples: int,
    pages: int,
) -> None:
    mentors = Mentor.objects.bulk_create(
        Mentor(
            organisation=hlf,
            chapter=oslo,
            ref=f"M{number}",
            name=f"Mentor {number}",
            status=status,
            pause_cause=Mentor.PauseCause.CERTIFICATION_EXPIRED if status == Mentor.Status.PAUSED else None,
        )
        for number in range(MENTORS)
    )
    certifications = Certification.objects.bulk_create(
        Certification(
            mentor=mentor,
            type=type,
            issued_on=today - timedelta(days=1000),
            expires_on=today + timedelta(days=100 if number % 2 else -100),
        )
        for number, mentor in enumerate(mentors)
        for type in (course, secrecy)
    )
    believe(tuples, pages)
    before = rows_read()

    run = plan_night(hlf, today, approved=True)

    assert sum(counts["planned"] for counts in run.counts.values()) == MENTORS / 2
    # So small a table PostgreSQL may read whole for each mentor, and does at times; but not for each row of it again.
    assert rows_read() - before < 5 * MENTORS * len(certifications)
