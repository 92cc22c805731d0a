"""What the migration says of the pauses of before."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import connection

from certifications.models import CertificationType
from mentors.models import Mentor, Organisation, StatusChange
from mentors.record_text import RecordText, verbatim
from tests.conftest import TODAY, Certify
from tests.support.nights import run_night
from tests.support.rules import pause

BACKFILL: str = import_module("cronjobs.migrations.0007_what_pauses_were_for").BACKFILL


@pytest.mark.parametrize(
    "reason", [None, verbatim("Lapsed: likepersonkurs, taushetserklaering")], ids=["by its codes", "by the run's item"]
)
def test_a_pause_of_before_gets_the_types_that_its_record_names(
    hlf: Organisation,
    course: CertificationType,
    secrecy: CertificationType,
    mentor: Mentor,
    certify: Certify,
    reason: RecordText | None,
) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, type=secrecy, expires_in=-1)
    run_night(hlf, TODAY)
    as_before(**{"reason": reason} if reason else {})

    with connection.cursor() as cursor:
        cursor.execute(BACKFILL)

    change = StatusChange.objects.get()
    assert (change.paused_for, change.business_date) == ([course.pk, secrecy.pk], TODAY)


def test_a_pause_by_a_person_is_for_no_type(course: CertificationType, mentor: Mentor) -> None:
    pause(mentor)

    with connection.cursor() as cursor:
        cursor.execute(BACKFILL)

    change = StatusChange.objects.get()
    assert (change.paused_for, change.business_date) == (None, None)


def as_before(**values: RecordText) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL pgtrigger.ignore = '{pgtrigger_append_only_d93d9}'")
    StatusChange.objects.update(paused_for=None, business_date=None, **values)
