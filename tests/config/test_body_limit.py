"""What is too large, or does not say how large it is, is refused before anything of it is read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from mentors.models import Chapter, User
from tests.conftest import Desk

IMPORT = "/admin/certifications/rosterupload/import/"
EVERY_OTHER = ["/admin/login/", "/admin/", "/hlf/oslo/", "/a/x/", "/healthz", "/nowhere", f"{IMPORT}x/"]
ORDINARY, ROSTER = 1_000_000, 6_000_000

pytestmark = pytest.mark.django_db


class Unread(BytesIO):
    """A body that nobody may read."""

    def read(self, *_size: Any) -> bytes:
        raise AssertionError("The body was read.")

    readline = read


def send(client: Client, path: str, length: int, **headers: str) -> Any:
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(length), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    return client.generic("POST", path, **environ | headers)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", EVERY_OTHER)
def test_more_than_a_million_bytes_are_refused_everywhere(client: Client, path: str) -> None:
    answer = send(client, path, ORDINARY + 1)

    assert (answer.status_code, answer["Content-Type"]) == (413, "text/plain; charset=utf-8")


def test_the_api_refuses_in_the_shape_of_its_errors(client: Client) -> None:
    answer = send(client, "/api/v1/mentors", ORDINARY + 1, HTTP_ACCEPT_LANGUAGE="en")

    assert answer.status_code == 413
    assert answer.json() == {
        "type": "client_error",
        "errors": [
            {
                "code": "request_too_large",
                "detail": "The request is larger than any request here needs to be.",
                "attr": None,
            }
        ],
    }


def test_a_roster_may_be_large_for_who_may_import_it(desk: Desk, olav: User) -> None:
    with pytest.raises(AssertionError, match="was read"):
        send(desk(olav), IMPORT, ROSTER)

    assert send(desk(olav), IMPORT, ROSTER + 1).status_code == 413
    assert send(desk(olav), "/admin/mentors/mentor/add/", ORDINARY + 1).status_code == 413


def test_a_roster_of_anybody_else_is_refused_unread(desk: Desk, kari: User, auditor: User, settings: Any) -> None:
    without_role = User.objects.create_user("nobody")

    for client in (Client(), desk(kari), desk(auditor), desk(without_role)):
        assert send(client, IMPORT, ORDINARY + 1).status_code == 413

    settings.SECOND_FACTOR_REQUIRED = True
    assert send(desk(User.objects.create_superuser("root")), IMPORT, ORDINARY + 1).status_code == 413


@pytest.mark.parametrize("path", [*EVERY_OTHER, IMPORT, "/api/v1/mentors"])
def test_a_body_of_unknown_length_is_refused(client: Client, path: str) -> None:
    answer = client.generic("POST", path, **{"wsgi.input": Unread(), "HTTP_TRANSFER_ENCODING": "chunked"})  # type: ignore[arg-type]

    assert answer.status_code == 411
    if path.startswith("/api/"):
        assert answer.json()["errors"][0]["code"] == "length_required"


@pytest.mark.parametrize("language", ["nb", "nn"])
def test_it_is_said_in_the_readers_language(client: Client, language: str) -> None:
    answer = send(client, "/admin/login/", ORDINARY + 1, HTTP_ACCEPT_LANGUAGE=language)

    assert "request" not in answer.content.decode()
    assert answer["Content-Language"] == language


def test_a_length_that_is_no_number_is_none(client: Client, oslo: Chapter) -> None:
    environ = {"CONTENT_LENGTH": "many"}

    assert client.get("/hlf/oslo/", **environ).status_code == 200  # type: ignore[arg-type]
