"""What the API does not take for a certification, or for a question about them: it is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from certifications.models import Certification, CertificationType
from mentors.models import Mentor

pytestmark = pytest.mark.django_db

URL = "/api/v1/certifications"


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
            b'{"\\ud800": 1}',
            b"",
        ],
        ids=["cut", "list", "text", "null", "not-utf8", "long-number", "deep", "nan", "surrogate", "name", "empty"],
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
