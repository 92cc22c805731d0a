"""`Mentor.lapses_on` while certifications and what it depends on are written at the same moment, 200 times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certifications.lapses_on import repair_lapses_on
from certifications.models import Certification, CertificationType
from certifications.recording import record_certification
from mentors.models import Mentor, Organisation
from tests.conftest import NOW, TODAY, Enrol
from tests.support.at_once import run_at_once

ROUNDS = 200
EXPIRED = TODAY - timedelta(days=1)


@pytest.mark.django_db(transaction=True)
def test_no_certification_is_missed_while_its_type_or_organisation_is_saved(
    hlf: Organisation, course: CertificationType, enrol: Enrol
) -> None:
    mentor = enrol()

    def record() -> None:
        record_certification(
            mentor=mentor, type=course, issued_on=TODAY - timedelta(days=300), expires_on=EXPIRED, now=NOW
        )

    def save_type(**fields: Any) -> None:
        same = {"pk": course.pk, "organisation": hlf, "code": course.code, "name": course.name, "required": True}
        CertificationType(**same | fields).save()

    def require() -> None:
        save_type()

    def give_grace() -> None:
        save_type(grace_days=5)

    def end_a_day_earlier() -> None:
        Organisation.objects.filter(pk=hlf.pk).update(valid_through_expiry_day=False)

    for number in range(ROUNDS):
        save = (require, give_grace, end_a_day_earlier)[number % 3]
        Certification.objects.all().delete()
        CertificationType.objects.update(required=save is not require, grace_days=0)
        Organisation.objects.update(valid_through_expiry_day=True)
        both = [record, save] if number % 2 else [save, record]

        results = run_at_once(*both)

        assert results == [None, None]
        assert repair_lapses_on(hlf) == 0, f"round {number}: {save.__name__}"
        assert Mentor.objects.get().lapses_on is not None
