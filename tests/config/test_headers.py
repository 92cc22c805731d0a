"""The headers of every address: what a browser may load, keep, tell and use (config/headers.py)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from config.headers import DESK, DOCS, NOTHING
from mentors.models import Chapter, User
from tests.support.addresses import every_address

pytestmark = pytest.mark.django_db

PUBLIC = {"/hlf/oslo/", "/api/v1/schema", "/robots.txt"}
OTHERS = [address for address in every_address() if address != "/999999/999999/"]
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture(params=["a visitor", "a superuser"])
def browser(request: pytest.FixtureRequest) -> Client:
    client = Client(headers={"Accept-Language": "en"}, raise_request_exception=False)
    if request.param == "a superuser":
        client.force_login(User.objects.create_superuser("root", password=None))
    return client


def test_there_are_as_many_addresses_as_one_would_think() -> None:
    assert len(OTHERS) > 200
    assert {
        "/admin/login/",
        "/api/v1/mentors/999999/pause",
        "/a/999999/",
        "/c/999999/nattevakt.ics",
        "/healthz",
    } <= set(OTHERS)


def test_every_address_says_what_a_browser_may_do(browser: Client, oslo: Chapter) -> None:
    for address in [*OTHERS, "/hlf/oslo/", "/nowhere", "/hlf/nowhere/"]:
        answer = browser.get(address)

        assert answer.status_code < 500, address
        assert {name: answer.get(name) for name in EVERYWHERE} == EVERYWHERE, address
        assert answer["Referrer-Policy"] in ("same-origin", "no-referrer"), address
        assert "camera=()" in answer["Permissions-Policy"], address
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), address
        assert "'none'" in answer["Content-Security-Policy"].partition("frame-ancestors ")[2], address
        assert "base-uri 'none'" in answer["Content-Security-Policy"], address


def test_no_address_may_be_stored_but_those_that_are_the_same_for_everybody(browser: Client, oslo: Chapter) -> None:
    stored = {
        address
        for address in [*OTHERS, "/hlf/oslo/", "/nowhere", "/hlf/nowhere/"]
        if "no-store" not in browser.get(address).get("Cache-Control", "")
    }

    assert stored == PUBLIC


@pytest.mark.parametrize(
    ("address", "policy"),
    [
        ("/admin/", DESK),
        ("/admin/login/", DESK),
        ("/admin/password/", DESK),
        ("/api/v1/docs", DOCS),
        ("/api/v1/me", NOTHING),
        ("/healthz", NOTHING),
        ("/nowhere", NOTHING),
    ],
)
def test_only_the_desk_and_the_documentation_may_run_scripts_and_none_that_stands_in_a_page(
    client: Client, address: str, policy: str
) -> None:
    given = client.get(address)["Content-Security-Policy"]

    assert given == policy
    assert "script-src" not in given or "'unsafe-inline'" not in given.partition("script-src ")[2].partition(";")[0]


def test_the_documentation_has_no_script_in_its_page(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    script = client.get("/api/v1/docs?script=")

    assert page.count("<script") == page.count("<script src=") == 3
    assert script["Content-Type"].startswith("application/javascript")


def test_a_developers_page_for_an_error_has_its_scripts(client: Client, settings: Any) -> None:
    settings.DEBUG = True

    assert "Content-Security-Policy" not in client.get("/nowhere")
    assert client.get("/healthz")["Content-Security-Policy"] == NOTHING
