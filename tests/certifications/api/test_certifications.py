"""The first contract: certifications through the API. Who may do what is in tests/config/api/test_scope.py."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from rest_framework.test import APIClient

from certifications.models import Certification, CertificationType
from mentors.models import Mentor
from tests.conftest import Certify, Enrol

pytestmark = pytest.mark.django_db

URL = "/api/v1/certifications"


def test_a_certification_is_shown_whole(client: APIClient, certify: Certify, mentor: Mentor) -> None:
    held = certify(mentor, expires_in=10, number="A1017")

    answer = client.get(f"{URL}/{held.pk}")

    assert answer.json() == {
        "id": held.pk,
        "mentor": mentor.pk,
        "mentor_ref": "M0",
        "mentor_name": "Liv Moe",
        "chapter": mentor.chapter_id,
        "type": "likepersonkurs",
        "type_name": "Kurs",
        "required": True,
        "number": "A1017",
        "issued_on": "2025-11-21",
        "expires_on": "2026-12-01",
        "lapses_on": "2026-12-02",
        "state": "expiring",
        "days_left": 10,
        "revoked_at": None,
        "revoked_reason": "",
        "created_at": held.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": held.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_both_forms_of_an_address_answer(client: APIClient, certify: Certify, mentor: Mentor) -> None:
    held = certify(mentor)

    assert client.get(f"{URL}/").json() == client.get(URL).json()
    assert client.get(f"{URL}/{held.pk}/").json() == client.get(f"{URL}/{held.pk}").json()


def test_a_recorded_certification_expires_as_its_type_says(
    client: APIClient, mentor: Mentor, course: CertificationType
) -> None:
    course.validity_months = 24
    course.save()

    answer = client.post(URL, {"mentor": mentor.pk, "type": course.code, "issued_on": "2026-02-28"})

    assert (answer.status_code, answer.json()["expires_on"]) == (201, "2028-02-27")
    assert answer["ETag"] == client.get(f"{URL}/{answer.json()['id']}")["ETag"]


def test_an_expiry_that_is_null_is_open_ended(client: APIClient, mentor: Mentor, course: CertificationType) -> None:
    course.validity_months = 24
    course.save()
    body = {"mentor": mentor.pk, "type": course.code, "issued_on": "2026-02-28", "expires_on": None}

    answer = client.post(URL, body)

    assert (answer.json()["expires_on"], answer.json()["state"]) == (None, "valid")


def test_the_same_certification_again_is_409_with_the_id_of_the_first(
    client: APIClient, mentor: Mentor, course: CertificationType
) -> None:
    body = {"mentor": mentor.pk, "type": course.code, "number": "1", "issued_on": "2026-02-28"}
    first = client.post(URL, body).json()

    again = client.post(URL, body)

    assert again.status_code == 409
    assert again.json()["id"] == first["id"]
    assert [error["code"] for error in again.json()["errors"]] == ["already_recorded"]
    assert Certification.objects.count() == 1


def test_a_renewal_resumes_whom_the_night_had_paused(
    client: APIClient, certify: Certify, enrol: Enrol, today: date
) -> None:
    paused = enrol(status="paused", pause_cause="certification_expired")
    lapsed = certify(paused, expires_in=-3)

    answer = client.post(
        f"{URL}/{lapsed.pk}/renew", {"issued_on": str(today), "expires_on": str(today + timedelta(days=730))}
    )

    paused.refresh_from_db()
    assert (answer.status_code, paused.status) == (201, "active")
    assert answer.json()["id"] != lapsed.pk


def test_a_revocation_pauses_at_once_and_is_final(client: APIClient, certify: Certify, mentor: Mentor) -> None:
    held = certify(mentor)

    answer = client.post(f"{URL}/{held.pk}/revoke", {"reason": "Broke secrecy."})
    again = client.post(f"{URL}/{held.pk}/revoke", {"reason": "Once more."})
    changed = client.patch(f"{URL}/{held.pk}", {"expires_on": "2030-01-01"})

    mentor.refresh_from_db()
    assert (answer.json()["state"], answer.json()["revoked_reason"]) == ("revoked", "Broke secrecy.")
    assert (mentor.status, mentor.pause_cause) == ("paused", "certification_revoked")
    assert (again.status_code, changed.status_code) == (409, 409)


class TestChanging:
    def test_put_takes_back_what_get_gave(self, client: APIClient, certify: Certify, mentor: Mentor) -> None:
        shown = client.get(f"{URL}/{certify(mentor).pk}")

        answer = client.put(
            f"{URL}/{shown.json()['id']}", shown.json() | {"expires_on": "2029-01-01"}, HTTP_IF_MATCH=shown["ETag"]
        )

        assert (answer.status_code, answer.json()["expires_on"]) == (200, "2029-01-01")
        assert answer["ETag"] != shown["ETag"]

    @pytest.mark.parametrize("field", ["mentor", "state", "id", "lapses_on"])
    def test_what_cannot_be_written_is_refused_by_name(
        self, client: APIClient, certify: Certify, mentor: Mentor, field: str
    ) -> None:
        held = certify(mentor)

        answer = client.patch(f"{URL}/{held.pk}", {field: "else"})

        assert answer.status_code == 400
        assert [(error["code"], error["attr"]) for error in answer.json()["errors"]] == [("read_only", field)]

    def test_a_stale_if_match_changes_nothing(self, client: APIClient, certify: Certify, mentor: Mentor) -> None:
        held = certify(mentor, number="before")
        stale = client.get(f"{URL}/{held.pk}")["ETag"]
        client.patch(f"{URL}/{held.pk}", {"number": "theirs"})

        answers = [
            client.patch(f"{URL}/{held.pk}", {"number": "ours"}, HTTP_IF_MATCH=stale),
            client.post(f"{URL}/{held.pk}/revoke", {"reason": "Ours."}, HTTP_IF_MATCH=stale),
        ]

        held.refresh_from_db()
        assert [answer.status_code for answer in answers] == [412, 412]
        assert (held.number, held.revoked_at) == ("theirs", None)

    def test_put_needs_the_whole_and_patch_a_part(self, client: APIClient, certify: Certify, mentor: Mentor) -> None:
        held = certify(mentor)

        put = client.put(f"{URL}/{held.pk}", {"expires_on": "2029-01-01"})
        patch = client.patch(f"{URL}/{held.pk}", {"expires_on": "2029-01-01"})

        assert (put.status_code, patch.status_code) == (400, 200)
        assert [error["attr"] for error in put.json()["errors"]] == ["issued_on"]
