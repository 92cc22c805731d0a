"""The lists of certifications: what is shown is what is filtered by."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from certifications.models import Certification, CertificationType
from certifications.states import State, calendar_of, state_of
from mentors.models import Mentor, Organisation
from tests.conftest import Certify, Enrol

pytestmark = pytest.mark.django_db

URL = "/api/v1/certifications"


class TestFilters:
    @pytest.mark.parametrize("valid_through_expiry_day", [True, False])
    @pytest.mark.parametrize("reminder_days", [[30, 14, 7], [7], []])
    def test_the_state_shown_is_the_state_filtered_by(
        self,
        client: APIClient,
        certify: Certify,
        mentor: Mentor,
        hlf: Organisation,
        course: CertificationType,
        sign_language: CertificationType,
        *,
        valid_through_expiry_day: bool,
        reminder_days: list[int],
    ) -> None:
        hlf.valid_through_expiry_day, hlf.reminder_days = valid_through_expiry_day, reminder_days
        hlf.save()
        sign_language.grace_days = 5
        sign_language.save()
        for type in (course, sign_language):
            for expires_in in (-6, -5, -4, -1, 0, 1, 6, 7, 8, 29, 30, 31, 400, None):
                certify(mentor, type=type, expires_in=expires_in)
            certify(mentor, type=type, issued=0)
            certify(mentor, type=type, issued=1)
            certify(mentor, type=type, revoked_at="2026-01-01T00:00Z", expires_in=3)
        everything = {row["id"]: row["state"] for row in client.get(f"{URL}?page_size=200").json()["results"]}

        by_filter = {
            row["id"]: state
            for state in State.values
            for row in client.get(f"{URL}?page_size=200&state={state}").json()["results"]
        }

        assert by_filter == everything
        assert len(everything) == Certification.objects.count()

    def test_the_state_agrees_with_rule_1_in_the_database(
        self, certify: Certify, mentor: Mentor, course: CertificationType, now: Any, today: date
    ) -> None:
        course.grace_days = 3
        course.save()
        for expires_in in range(-8, 8):
            certify(mentor, expires_in=expires_in)
        calendar = calendar_of(course, now=now)

        for held in Certification.objects.with_lapses_on():
            state = state_of(issued_on=held.issued_on, expires_on=held.expires_on, revoked_at=None, calendar=calendar)

            lapses_on: date = held.lapses_on  # type: ignore[attr-defined]  # annotated
            assert held.expires_on is not None
            assert calendar.lapses_on(held.expires_on) == lapses_on
            assert (state == State.EXPIRED) == (lapses_on <= today)

    def test_each_filter_narrows_the_list(
        self,
        client: APIClient,
        certify: Certify,
        enrol: Enrol,
        mentor: Mentor,
        sign_language: CertificationType,
        today: date,
    ) -> None:
        other = enrol(name="Åse Bø-Lie", ref="X-77")
        first = certify(mentor, expires_in=10)
        second = certify(other, expires_in=20, type=sign_language, number="S/99")

        def found(query: str) -> list[int]:
            return [row["id"] for row in client.get(f"{URL}?{query}").json()["results"]]

        assert found("") == [first.pk, second.pk]
        assert found("ordering=-expires_on") == [second.pk, first.pk]
        assert found("ordering=-id") == [second.pk, first.pk]
        assert found(f"mentor={mentor.pk}") == [first.pk]
        assert found("mentor_ref=X-77") == [second.pk]
        assert found(f"chapter={mentor.chapter_id}") == [first.pk, second.pk]
        assert found("chapter=999") == []
        assert found("type=tegnsprak") == [second.pk]
        assert found("type=unheard-of") == []
        assert found("required=true") == [first.pk]
        assert found("required=false") == [second.pk]
        assert found(f"expires_before={today + timedelta(days=20)}") == [first.pk]
        assert found(f"expires_after={today + timedelta(days=10)}") == [second.pk]
        assert found("search=liv") == [first.pk]
        assert found("search=b%C3%B8 %C3%A5s") == [second.pk]
        assert found("search=x-7") == [second.pk]
        assert found("search=s/9") == [second.pk]
        assert found("search=iv") == []
        assert found("search=%26 | !:*") == []


class TestExpiring:
    def test_it_lists_what_is_coming_soonest_first_with_the_stages_sent(
        self, client: APIClient, certify: Certify, enrol: Enrol, today: date, now: Any
    ) -> None:
        later, sooner = certify(enrol(), expires_in=30), certify(enrol(), expires_in=0)
        certify(enrol(), expires_in=31)
        certify(enrol(), expires_in=-1)
        renewed = enrol()
        certify(renewed, expires_in=5)
        certify(renewed, expires_in=700, issued=0)
        certify(enrol(), expires_in=5, revoked_at=now)

        rows = client.get(f"{URL}/expiring").json()["results"]

        assert [(row["id"], row["days_left"], row["stages_sent"]) for row in rows] == [
            (sooner.pk, 0, []),
            (later.pk, 30, []),
        ]

    def test_how_far_it_looks_is_asked_for(self, client: APIClient, certify: Certify, mentor: Mentor) -> None:
        certify(mentor, expires_in=31)

        def count(days: str) -> Any:
            return client.get(f"{URL}/expiring?within_days={days}").json().get("count")

        assert (count("30"), count("31"), count("x"), count("99999")) == (0, 1, None, None)
