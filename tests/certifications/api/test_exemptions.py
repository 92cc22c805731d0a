"""Certification types, exemptions and chapters through the API."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from rest_framework.test import APIClient

from certifications.models import CertificationType, Exemption
from mentors.models import Chapter, CoordinatorRole, Mentor, User
from tests.conftest import Api, Certify, Enrol
from tests.support.api import by_token
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db

EXEMPTIONS = "/api/v1/exemptions"
TYPES = "/api/v1/certification-types"
CHAPTERS = "/api/v1/chapters"


@pytest.fixture
def lead(api: Api, olav: User) -> APIClient:
    return api(olav)


def exempt(mentor: Mentor, type: CertificationType, user: User, today: date) -> Exemption:
    return Exemption.objects.create(
        mentor=mentor, type=type, from_on=today, until_on=today, reason="Cancelled.", approved_by=user
    )


class TestExemptions:
    def test_an_exemption_begins_today_and_resumes_whom_the_night_had_paused(
        self, lead: APIClient, enrol: Enrol, certify: Certify, course: CertificationType
    ) -> None:
        paused = enrol(ref="M7", name="Liv Moe", status="paused", pause_cause="certification_expired")
        certify(paused, expires_in=-3)
        body = {"mentor": paused.pk, "type": course.code, "until_on": "2026-12-31", "reason": "Cancelled."}

        answer = lead.post(EXEMPTIONS, body)

        paused.refresh_from_db()
        exemption = Exemption.objects.get()
        assert (answer.status_code, paused.status) == (201, "active")
        assert answer.json() == lead.get(f"{EXEMPTIONS}/{exemption.pk}").json()
        assert answer.json() == {
            "id": exemption.pk,
            "mentor": paused.pk,
            "mentor_ref": "M7",
            "mentor_name": "Liv Moe",
            "chapter": paused.chapter_id,
            "type": "likepersonkurs",
            "type_name": "Kurs",
            "from_on": "2026-11-21",
            "until_on": "2026-12-31",
            "reason": "Cancelled.",
            "approved_by": "olav",
            "created_at": exemption.created_at.isoformat().replace("+00:00", "Z"),
        }

    @pytest.mark.parametrize(
        ("change", "attr"),
        [
            ({"until_on": "2026-11-20"}, "until_on"),
            ({"from_on": "2027-01-01"}, "until_on"),
            ({"until_on": "9999-12-31"}, "until_on"),
            ({"from_on": "0001-01-01"}, "from_on"),
            ({"from_on": None}, "from_on"),
            ({"reason": " "}, "reason"),
            ({"type": "unheard-of"}, "type"),
            ({"mentor": 10**30}, "mentor"),
            ({"approved_by": 1}, "approved_by"),
        ],
    )
    def test_what_is_wrong_is_400_and_named(
        self, lead: APIClient, mentor: Mentor, course: CertificationType, change: dict[str, Any], attr: str
    ) -> None:
        body = {"mentor": mentor.pk, "type": course.code, "until_on": "2026-12-31", "reason": "Cancelled."} | change

        answer = lead.post(EXEMPTIONS, body)

        assert (answer.status_code, [error["attr"] for error in answer.json()["errors"]]) == (400, [attr])
        assert not Exemption.objects.exists()

    def test_only_the_mentors_own_organisation_grants_one(
        self, api: Api, kari: User, auditor: User, mentor: Mentor, course: CertificationType, elsewhere: Chapter
    ) -> None:
        leads_another = User.objects.create_user("nora")
        CoordinatorRole.objects.create(user=leads_another, organisation=elsewhere.organisation)
        CoordinatorRole.objects.create(
            user=leads_another, organisation=mentor.organisation, chapter_id=mentor.chapter_id
        )
        body = {"mentor": mentor.pk, "type": course.code, "until_on": "2026-12-31", "reason": "Cancelled."}

        assert [api(user).post(EXEMPTIONS, body).status_code for user in (kari, auditor, leads_another)] == [403] * 3
        assert api().post(EXEMPTIONS, body).status_code == 401
        assert not Exemption.objects.exists()

    def test_coordinators_see_those_of_their_mentors(
        self,
        api: Api,
        kari: User,
        olav: User,
        auditor: User,
        enrol: Enrol,
        bergen: Chapter,
        course: CertificationType,
        today: date,
    ) -> None:
        here, there = (exempt(enrol(**at), course, olav, today) for at in ({}, {"chapter": bergen}))

        def seen(user: User, query: str = "") -> list[int]:
            return [row["id"] for row in api(user).get(f"{EXEMPTIONS}{query}").json()["results"]]

        assert (seen(kari), seen(olav), seen(auditor)) == ([here.pk], [here.pk, there.pk], [])
        assert seen(olav, f"?mentor={there.mentor_id}") == [there.pk]
        assert seen(olav, "?ordering=-id") == [there.pk, here.pk]
        assert api(kari).get(f"{EXEMPTIONS}/{there.pk}").status_code == 404
        assert api(auditor).get(f"{EXEMPTIONS}/{here.pk}").status_code == 404

    def test_many_cost_as_many_queries_as_one(
        self, olav: User, enrol: Enrol, course: CertificationType, today: date
    ) -> None:
        client = by_token(olav)
        exempt(enrol(), course, olav, today)
        one = count_queries(lambda: client.get(EXEMPTIONS))
        for _ in range(20):
            exempt(enrol(), course, olav, today)
        many = count_queries(lambda: client.get(EXEMPTIONS))

        assert many == one <= 8
        assert client.get(EXEMPTIONS).json()["count"] == 21


class TestTypes:
    def test_every_coordinator_sees_those_of_the_organisation(
        self,
        api: Api,
        kari: User,
        olav: User,
        auditor: User,
        course: CertificationType,
        sign_language: CertificationType,
        elsewhere: Chapter,
    ) -> None:
        foreign = CertificationType.objects.create(organisation=elsewhere.organisation, code="other", name="Other")

        for user in (kari, olav):
            client = api(user)
            assert [row["code"] for row in client.get(TYPES).json()["results"]] == ["likepersonkurs", "tegnsprak"]
            assert client.get(f"{TYPES}/{foreign.pk}").status_code == 404
        assert api(kari).get(f"{TYPES}/{course.pk}").json() == {
            "id": course.pk,
            "organisation": "hlf",
            "code": "likepersonkurs",
            "name": "Kurs",
            "required": True,
            "validity_months": None,
            "grace_days": 0,
        }
        assert api(auditor).get(TYPES).json()["results"] == []
        assert api(auditor).get(f"{TYPES}/{course.pk}").status_code == 404


class TestChapters:
    def test_everybody_sees_the_chapters_they_look_after(
        self, api: Api, kari: User, olav: User, auditor: User, oslo: Chapter, bergen: Chapter, elsewhere: Chapter
    ) -> None:
        def seen(user: User) -> list[int]:
            return [row["id"] for row in api(user).get(CHAPTERS).json()["results"]]

        assert (seen(kari), seen(olav), seen(auditor)) == ([oslo.pk], [bergen.pk, oslo.pk], [])
        assert api(kari).get(f"{CHAPTERS}/{oslo.pk}").json() == {
            "id": oslo.pk,
            "organisation": "hlf",
            "name": "Oslo",
            "slug": "oslo",
        }
        assert api(kari).get(f"{CHAPTERS}/{bergen.pk}").status_code == 404
        assert api(kari).post(CHAPTERS, {}).status_code == 405
