"""What anybody may ask for without a login costs little: it is remembered, or an address may ask only so often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client
from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from rest_framework.throttling import SimpleRateThrottle

from mentors.models import Chapter
from mentors.rest import schema
from tests.support.addresses import every_address
from tests.support.processes import PROJECT

pytestmark = pytest.mark.django_db

# Cheap, although nobody counts: they ask no database, or at most once a second.
UNCOUNTED = {"/healthz", "/healthz/nightly", "/readyz", "/metrics", "/robots.txt"}
# Their own forms say what they think of it, and are counted and locked in other ways.
DESK = ("/admin/", "/i18n/")


@pytest.fixture
def _rates(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    rates = dict.fromkeys(("user", "anon", "login", "page"), "1/minute")
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
    cache.clear()  # it lives in Redis, and remembers who has asked in an earlier test
    yield
    cache.clear()


@pytest.mark.usefixtures("_rates")
def test_every_address_without_a_login_is_counted_by_who_asks(client: Client, oslo: Chapter) -> None:
    uncounted = set()
    for address in [*every_address(), "/hlf/oslo/"]:
        cache.clear()
        client.get(address)
        again = client.get(address)
        if again.status_code not in (401, 429) and not address.startswith(DESK):  # 401: nothing was looked at
            uncounted.add(address)
    assert uncounted == UNCOUNTED | {"/api/v1/"}  # where nothing is


@pytest.mark.usefixtures("_rates")
@pytest.mark.parametrize("path", ["/hlf/oslo/", "/a/x/", "/p/x/", "/c/x/nattevakt.ics"])
def test_a_page_says_when_to_come_again(client: Client, oslo: Chapter, path: str) -> None:
    client.get("/hlf/oslo/")  # all of them are counted together

    answer = client.get(path, headers={"Accept-Language": "en"})

    assert (answer.status_code, answer["Content-Type"]) == (429, "text/plain; charset=utf-8")
    assert 0 < int(answer["Retry-After"]) <= 60
    assert "Vary" not in answer or "Cookie" not in answer["Vary"]
    assert client.get(path, REMOTE_ADDR="192.0.2.7").status_code != 429


@pytest.mark.usefixtures("_rates")
def test_a_proxys_visitors_are_told_apart_and_cannot_pretend_to_be_others(
    client: Client, oslo: Chapter, settings: Any
) -> None:
    settings.REST_FRAMEWORK = {**django_settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    one, other = "198.51.100.1", "198.51.100.2"

    assert client.get("/hlf/oslo/", headers={"X-Forwarded-For": one}).status_code == 200
    assert client.get("/hlf/oslo/", headers={"X-Forwarded-For": f"{other}, {one}"}).status_code == 429
    assert client.get("/hlf/oslo/", headers={"X-Forwarded-For": other}).status_code == 200


@pytest.mark.usefixtures("_rates")
def test_without_redis_nobody_is_counted(client: Client, oslo: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any, **_options: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(SimpleRateThrottle.cache.__class__, "get", away, raising=False)

    assert [client.get("/hlf/oslo/").status_code for _ in range(3)] == [200] * 3


class TestTheSchema:
    def test_it_is_written_once_in_each_language(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[str | None] = []
        get_schema = SchemaGenerator.get_schema

        def count(*args: Any, **options: Any) -> Any:
            written.append(get_language())
            return get_schema(*args, **options)  # type: ignore[no-untyped-call]

        monkeypatch.setattr(SchemaGenerator, "get_schema", count)
        schema._write.cache_clear()
        for asked in ("", "?lang=en", "?lang=nb", "?lang=nn", "?lang=en", "?lang=tlh", "?version=2"):
            assert client.get(f"/api/v1/schema{asked}", headers={"Accept-Language": "en"}).status_code == 200

        assert written == ["en", "nb", "nn"]

    def test_it_is_the_one_in_the_documentation(self, client: Client) -> None:
        answer = client.get("/api/v1/schema?lang=en")

        assert answer.content == (PROJECT / "docs/openapi.yaml").read_bytes()
        assert answer["Content-Type"] == "application/vnd.oai.openapi"

    def test_who_has_it_is_told_that_it_is_the_same(self, client: Client) -> None:
        first = client.get("/api/v1/schema?lang=en")
        same = client.get("/api/v1/schema?lang=en", headers={"If-None-Match": first["ETag"]})
        other = client.get("/api/v1/schema?lang=nb", headers={"If-None-Match": first["ETag"]})

        assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
        assert (other.status_code, "public" in first["Cache-Control"]) == (200, True)

    def test_it_asks_the_database_nothing_whoever_asks(self, client: Client, django_assert_num_queries: Any) -> None:
        client.cookies["sessionid"] = "x" * 32

        with django_assert_num_queries(0):
            client.get("/api/v1/schema")
            client.get("/api/v1/docs")
