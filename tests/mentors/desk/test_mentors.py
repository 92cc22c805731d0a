"""A mentor at the desk: what is written, and the buttons."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from certifications.models import Exemption
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from tests.conftest import Certify, Desk, Enrol
from tests.support.desk import EXPIRED, page, text

pytestmark = pytest.mark.django_db


class TestWriting:
    WRITTEN = {"ref": "M-9", "name": "Åse Ås", "email": "ASE@example.org", "phone": "", "language": "", "listed": "on"}

    def test_enrolling_asks_for_a_chapter_and_the_rest_follows(self, desk: Desk, kari: User, oslo: Chapter) -> None:
        Organisation.objects.update(language="nn")

        answer = desk(kari).post(reverse("admin:mentors_mentor_add"), {"chapter": oslo.pk, **self.WRITTEN})

        mentor = Mentor.objects.get()
        assert answer.status_code == 302
        assert (mentor.organisation, mentor.language, mentor.email) == (oslo.organisation, "nn", "ase@example.org")

    def test_a_ref_that_is_taken_is_said_beside_it_and_names_nobody(
        self, desk: Desk, kari: User, oslo: Chapter, bergenser: Mentor
    ) -> None:
        answer = desk(kari).post(
            reverse("admin:mentors_mentor_add"), {"chapter": oslo.pk, **self.WRITTEN, "ref": bergenser.ref}
        )

        assert "has a mentor of this ref already" in text(answer)
        assert bergenser.name not in text(answer)

    def test_changing_goes_the_way_of_the_domain(self, desk: Desk, kari: User, mentor: Mentor) -> None:
        fields = {
            **self.WRITTEN, "chapter": mentor.chapter_id, "language": "en", "searchable": "on",
            "preference-TOTAL_FORMS": 1, "preference-INITIAL_FORMS": 0,
            "preference-0-channel": "email", "preference-0-address": "other@example.org",
        }  # fmt: skip

        desk(kari).post(page(mentor), fields)

        mentor.refresh_from_db()
        assert (mentor.name, mentor.email, mentor.searchable) == ("Åse Ås", "ase@example.org", True)
        assert mentor.preference.address == "other@example.org"


class TestButtons:
    @pytest.mark.parametrize(
        ("state", "shown"),
        [
            ({}, {"Pause", "End service"}),
            (EXPIRED, {"Resume", "Pause", "End service"}),
            ({"status": "paused", "pause_cause": "manual"}, {"Resume", "End service"}),
            ({"status": "ended"}, set()),
        ],
    )
    def test_only_what_the_status_allows_is_offered(
        self, desk: Desk, kari: User, enrol: Enrol, state: dict[str, str], shown: set[str]
    ) -> None:
        buttons = desk(kari).get(page(enrol(**state))).context["buttons"]

        assert {button.title for button in buttons} == shown

    def test_a_pause_needs_a_reason_and_is_made_by_who_pressed(self, desk: Desk, kari: User, mentor: Mentor) -> None:
        refused = desk(kari).post(page(mentor, "pause"), {"reason": ""})
        done = desk(kari).post(page(mentor, "pause"), {"reason": "On leave"}, follow=True)

        change = StatusChange.objects.get()
        assert refused.status_code == 422
        assert (change.to_status, str(change.reason), change.actor) == ("paused", "On leave", kari)
        assert "Liv Moe is paused." in text(done)

    def test_a_pause_by_the_night_is_taken_over(self, desk: Desk, kari: User, enrol: Enrol) -> None:
        mentor = enrol(**EXPIRED)

        desk(kari).post(page(mentor, "pause"), {"reason": "On leave"})

        mentor.refresh_from_db()
        assert (mentor.status, mentor.pause_cause) == ("paused", "manual")

    def test_resuming_a_mentor_with_a_lapsed_type_tells_a_coordinator_to_renew(
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        asked = desk(kari).get(page(mentor, "resume"))
        refused = desk(kari).post(page(mentor, "resume"), {"reason": "x", "exempt_until": "2026-12-31"})

        assert "Only an organisation-wide coordinator may exempt" in text(asked)
        assert "exempt_until" not in asked.context["form"].fields
        assert refused.status_code == 422
        assert not Exemption.objects.exists()

    def test_the_organisation_resumes_with_an_exemption(
        self, desk: Desk, olav: User, enrol: Enrol, certify: Certify, today: date
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        desk(olav).post(page(mentor, "resume"), {"reason": "The course is in May", "exempt_until": "2026-12-31"})

        mentor.refresh_from_db()
        exemption = Exemption.objects.get()
        assert mentor.status == Mentor.Status.ACTIVE
        assert (exemption.from_on, exemption.until_on, exemption.approved_by) == (today, date(2026, 12, 31), olav)

    def test_an_exemption_that_would_end_in_the_past_is_refused_in_the_form(
        self, desk: Desk, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        mentor = enrol(**EXPIRED)
        certify(mentor, expires_in=-5)

        answer = desk(olav).post(page(mentor, "resume"), {"reason": "x", "exempt_until": "2020-01-01"})

        assert "This day has passed." in text(answer)

    def test_ending_the_service_is_for_good(self, desk: Desk, kari: User, mentor: Mentor) -> None:
        desk(kari).post(page(mentor, "end"), {"reason": "Moved"})
        again = desk(kari).post(page(mentor, "end"), {"reason": "Moved"})

        assert StatusChange.objects.get().to_status == "ended"
        assert "The mentor has ended already." in text(again)
