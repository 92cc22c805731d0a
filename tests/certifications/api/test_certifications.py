"""The first contract: certifications through the API. Who may do what is in test_api_scope.py."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from certifications.models import Certification, CertificationType
from certifications.states import State, calendar_of, state_of
from mentors.models import Mentor, Organisation, User
from tests.conftest import Api, Certify, Enrol

pytestmark = pytest.mark.django_db

URL = "/api/v1/certifications"


@pytest.fixture
def client(api: Api, kari: User) -> APIClient:
    return api(kari)


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


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "attr"),
        [
            ({"number": "\0"}, "number"),
            ({"number": "9" * 51}, "number"),
            ({"number": " " * 50 + "9"}, "number"),
            ({"issued_on": "0000-01-01"}, "issued_on"),
            ({"issued_on": "10000-01-01"}, "issued_on"),
            ({"issued_on": "0001-01-01"}, "issued_on"),
            ({"issued_on": "2026-02-30"}, "issued_on"),
            ({"issued_on": 20260101}, "issued_on"),
            ({"expires_on": "9999-12-31"}, "expires_on"),
            ({"expires_on": "2026-02-27"}, "expires_on"),
            ({"mentor": 10**30}, "mentor"),
            ({"mentor": "1"}, "mentor"),
            ({"mentor": True}, "mentor"),
            ({"mentor": None}, "mentor"),
            ({"mentor": [1]}, "mentor"),
            ({"type": "unheard-of"}, "type"),
            ({"type": {"code": 1}}, "type"),
            ({"colour": "blue"}, "colour"),
            ({"state": "valid"}, "state"),
        ],
    )
    def test_it_is_400_and_names_the_field(
        self, client: APIClient, mentor: Mentor, course: CertificationType, change: dict[str, Any], attr: str
    ) -> None:
        body = {"mentor": mentor.pk, "type": course.code, "issued_on": "2026-02-28"} | change

        answer = client.post(URL, body)

        assert answer.status_code == 400, answer.content
        assert [error["attr"] for error in answer.json()["errors"]] == [attr]
        assert not Certification.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b'"text"',
            b"null",
            b"\xff",
            b'{"mentor": ' + b"9" * 10_000 + b"}",
            b"[" * 100_000,
            b'{"mentor": NaN}',
            b'{"mentor": "\\ud800", "type": "\\ud800", "issued_on": "\\ud800"}',
            b"",
        ],
        ids=["cut", "list", "text", "null", "not-utf8", "long-number", "deep", "nan", "surrogate", "empty"],
    )
    def test_a_body_that_is_no_object_is_400(self, client: APIClient, body: Any) -> None:
        answer = client.generic("POST", URL, body, content_type="application/json")

        assert answer.status_code == 400, answer.content
        assert answer.json()["errors"]

    def test_what_is_not_json_is_415_and_what_is_huge_413(self, client: APIClient) -> None:
        form = client.generic("POST", URL, "mentor=1", content_type="application/x-www-form-urlencoded")
        huge = client.generic("POST", URL, " " * 1_000_001, content_type="application/json")

        assert (form.status_code, huge.status_code) == (415, 413)

    @pytest.mark.parametrize(
        ("query", "attr"),
        [
            ("state=happy", "state"),
            ("required=perhaps", "required"),
            ("expires_before=tomorrow", "expires_before"),
            ("mentor=one", "mentor"),
            ("mentor=1.5", "mentor"),
            ("chapter=-1", "chapter"),
            ("mentor=" + "9" * 5000, "mentor"),
            ("mentor_ref=%00", "mentor_ref"),
            ("search=%00", "search"),
            ("search=" + "a" * 101, "search"),
            ("ordering=mentor__email", "ordering"),
            ("page=0", "page"),
            ("page=x", "page"),
            ("page_size=201", "page_size"),
            ("page_size=%C2%B2", "page_size"),
            ("chaptre=1", "chaptre"),
        ],
    )
    def test_a_query_that_is_wrong_is_refused_by_name(self, client: APIClient, query: str, attr: str) -> None:
        answer = client.get(f"{URL}?{query}")

        assert answer.status_code == 400, answer.content
        assert [error["attr"] for error in answer.json()["errors"]] == [attr]

    @pytest.mark.parametrize("id", ["0", "x", "9" * 30, "9" * 5000, "1e3", "%00", "-1"])
    def test_an_id_that_nothing_has_is_404(self, client: APIClient, id: str) -> None:
        assert client.get(f"{URL}/{id}").status_code == 404

    def test_a_page_that_does_not_exist_is_404(self, client: APIClient) -> None:
        assert client.get(f"{URL}?page=2").status_code == 404
        assert client.get(f"{URL}?page={'9' * 40}").status_code == 404

    def test_a_method_that_there_is_not_is_405(self, client: APIClient) -> None:
        answer = client.delete(URL)

        assert (answer.status_code, answer["Allow"]) == (405, "GET, POST, HEAD, OPTIONS")


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
