"""A whole course at the desk."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, Mentor, User
from tests.conftest import Certify, Desk, Enrol
from tests.support.desk import EXPIRED, text
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db
COURSE = "/admin/certifications/certification/course/"


class TestCourse:
    def course_of(self, course: CertificationType, today: date, **more: Any) -> dict[str, Any]:
        return {"type": course.pk, "issued_on": today, "expires_on": today + timedelta(days=365), **more}

    def test_attendees_are_ticked_previewed_and_recorded(
        self,
        desk: Desk,
        kari: User,
        enrol: Enrol,
        certify: Certify,
        oslo: Chapter,
        course: CertificationType,
        today: date,
    ) -> None:
        mentor, has = enrol(name="Liv Moe", **EXPIRED), enrol(name="Ola Nes")
        enrol(name="Not There")
        certify(mentor, expires_in=-5)
        certify(has, number="K", issued_on=today)
        ids = [mentor.pk, has.pk]
        client, filled = desk(kari), self.course_of(course, today, number="K", chapter=oslo.pk)

        preview = client.post(COURSE, {**filled, "attendee": ids, "preview": "1"})
        unwritten = Certification.objects.count()
        done = client.post(COURSE, {**filled, "attendees": ",".join(map(str, ids)), "apply": "1"})

        assert "is resumed at once" in text(preview)
        assert "has it already: unchanged" in text(preview)
        assert unwritten == 2
        assert "Recorded for 1 mentor." in text(done)
        assert set(Certification.objects.filter(number="K").values_list("mentor", flat=True)) == set(ids)
        mentor.refresh_from_db()
        assert mentor.status == Mentor.Status.ACTIVE

    def test_what_was_ticked_is_still_ticked_when_it_is_changed_once_more(
        self, desk: Desk, kari: User, enrol: Enrol, oslo: Chapter, course: CertificationType, today: date
    ) -> None:
        mentor, other = enrol(), enrol()
        filled = self.course_of(course, today, chapter=oslo.pk, attendees=str(mentor.pk), edit="1")

        people = desk(kari).post(COURSE, filled).context["people"]

        assert [(one, ticked) for one, _status, ticked in people] == [(mentor, True), (other, False)]

    def test_nobody_ticked_is_said_in_the_form(
        self, desk: Desk, kari: User, mentor: Mentor, oslo: Chapter, course: CertificationType, today: date
    ) -> None:
        answer = desk(kari).post(COURSE, self.course_of(course, today, chapter=oslo.pk, preview="1"))

        assert answer.status_code == 422
        assert "Choose at least one." in text(answer)

    def test_mentors_chosen_in_the_list_go_along(
        self, desk: Desk, kari: User, enrol: Enrol, course: CertificationType
    ) -> None:
        ids = [enrol().pk, enrol().pk]

        answer = desk(kari).post("/admin/mentors/mentor/", {"action": "record_course", "_selected_action": ids})

        assert "2 are chosen." in text(answer)
        assert f'value="{ids[0]},{ids[1]}"' in text(answer)

    @pytest.mark.parametrize("step", ["preview", "apply"])
    def test_a_mentor_of_another_chapter_cannot_be_slipped_in(
        self,
        desk: Desk,
        kari: User,
        mentor: Mentor,
        bergenser: Mentor,
        course: CertificationType,
        today: date,
        step: str,
    ) -> None:
        chosen = {"attendees": f"{mentor.pk},{bergenser.pk}", step: "1"}

        answer = desk(kari).post(COURSE, self.course_of(course, today, **chosen))

        assert answer.status_code == 403
        assert not Certification.objects.exists()

    def test_the_list_does_not_choose_them_either(
        self, desk: Desk, kari: User, mentor: Mentor, bergenser: Mentor, course: CertificationType
    ) -> None:
        ids = [mentor.pk, bergenser.pk]

        answer = desk(kari).post("/admin/mentors/mentor/", {"action": "record_course", "_selected_action": ids})

        assert f'value="{mentor.pk}"' in text(answer)
        assert "1 is chosen." in text(answer)

    def test_another_chapters_mentors_are_not_listed(
        self, desk: Desk, kari: User, mentor: Mentor, bergenser: Mentor, bergen: Chapter
    ) -> None:
        said = text(desk(kari).get(COURSE, {"chapter": bergen.pk}))

        assert bergenser.name not in said

    def test_an_auditor_records_nothing(self, desk: Desk, auditor: User) -> None:
        assert desk(auditor).get(COURSE).status_code == 403

    def test_preview_and_list_ask_the_database_as_often_for_many_as_for_few(
        self,
        desk: Desk,
        kari: User,
        enrol: Enrol,
        certify: Certify,
        oslo: Chapter,
        course: CertificationType,
        today: date,
    ) -> None:
        client = desk(kari)

        def ask(count: int) -> tuple[int, int]:
            mentors = [enrol(**EXPIRED) for _ in range(count)]
            for mentor in mentors:
                certify(mentor, expires_in=-5)
            ids = ",".join(str(mentor.pk) for mentor in mentors)
            with CaptureQueriesContext(connection) as asked:
                answer = client.post(COURSE, self.course_of(course, today, attendees=ids, preview="1"))
            assert text(answer).count("is resumed at once") == count
            return len(asked), count_queries(lambda: client.get(COURSE, {"chapter": oslo.pk}))

        ask(1)  # which fills what a process remembers
        few, many = ask(10), ask(40)

        assert max(few) <= 12
        assert [a <= b for a, b in zip(many, few, strict=True)] == [True, True]
