"""What belongs to an organisation stays there: a chapter's roles and a type's certifications cannot follow it."""

from __future__ import annotations

from certifications.models import CertificationType
from mentors.models import Chapter, Organisation, User
from tests.conftest import Desk


def test_a_chapter_stays_with_its_organisation(hlf: Organisation, bergen: Chapter, desk: Desk) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    operations = User.objects.create_superuser("operations")

    form = {"organisation": other.pk, "name": "Bergen and Os", "slug": "bergen"}
    desk(operations).post(f"/admin/mentors/chapter/{bergen.pk}/change/", form)

    bergen.refresh_from_db()
    assert (bergen.organisation, bergen.name) == (hlf, "Bergen and Os")


def test_a_type_stays_with_its_organisation(hlf: Organisation, course: CertificationType, desk: Desk) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    operations = User.objects.create_superuser("operations")

    form = {"organisation": other.pk, "code": course.code, "name": "Course", "grace_days": 3}
    desk(operations).post(f"/admin/certifications/certificationtype/{course.pk}/change/", form)

    course.refresh_from_db()
    assert (course.organisation, course.grace_days) == (hlf, 3)
