"""A database that goes away in the middle of a request: 503 with `Retry-After`, wherever it is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from mentors.models import Chapter, Mentor, User
from tests.conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def cut_before(word: str) -> Iterator[None]:
    """End the server process of this connection, as a restart of PostgreSQL does, before the first such statement."""
    was_cut = False

    def cut(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal was_cut
        if word in sql and not was_cut:
            was_cut = True
            pid = connection.connection.info.backend_pid
            with psycopg.connect(**connection.get_connection_params()) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cut):
        yield
    assert was_cut
    connection.close()


@pytest.fixture
def client_of_the_app(api: Api, olav: User) -> APIClient:
    client = api(olav)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("word", ["FOR NO KEY UPDATE", 'UPDATE "mentors_mentor"'])
def test_a_change_that_is_cut_off_is_503_and_nothing_is_done(
    client_of_the_app: APIClient, mentor: Mentor, word: str
) -> None:
    with cut_before(word):
        answer = client_of_the_app.patch(f"/api/v1/mentors/{mentor.pk}", {"name": "Another"})

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["errors"][0]["code"] == "try_again"
    assert Mentor.objects.get().name == "Liv Moe"
    assert client_of_the_app.patch(f"/api/v1/mentors/{mentor.pk}", {"name": "Another"}).status_code == 200


def test_a_resume_that_is_cut_off_is_503(client_of_the_app: APIClient, mentor: Mentor) -> None:
    client_of_the_app.post(f"/api/v1/mentors/{mentor.pk}/pause", {"reason": "x"})

    with cut_before("UPDATE"):
        answer = client_of_the_app.post(f"/api/v1/mentors/{mentor.pk}/resume", {"reason": "x"})

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("path", ["/hlf/oslo/", "/admin/"])
def test_a_page_is_503_too(olav: User, oslo: Chapter, path: str) -> None:
    client = Client(raise_request_exception=False, headers={"Accept-Language": "en"})
    client.force_login(olav)

    with cut_before("SELECT"):
        answer = client.get(path)

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "Try again in a few seconds." in answer.content.decode()


@pytest.mark.parametrize("word", ["mentors_session", "mentors_user"])
def test_what_is_cut_off_before_the_apis_own_views_has_the_shape_of_its_errors(
    olav: User, mentor: Mentor, word: str
) -> None:
    client = Client(raise_request_exception=False, headers={"Accept-Language": "en"})
    client.force_login(olav)

    with cut_before(word):
        answer = client.patch(f"/api/v1/mentors/{mentor.pk}", {"name": "x"}, content_type="application/json")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "server_error"
    assert answer.json()["errors"][0]["code"] == "try_again"


def test_any_other_error_stays_a_500(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_options: Any) -> None:
        raise ValueError

    client = Client(raise_request_exception=False)
    monkeypatch.setattr("certifications.pages.get_object_or_404", broken)

    assert client.get("/hlf/oslo/").status_code == 500
