"""How the lists are answered from big tables: by an index, whatever is asked. The SQL is what the API really sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from mentors.models import CoordinatorRole, Organisation, User
from tests.bench import dataset
from tests.bench.measure import BIG_TABLES
from tests.conftest import Api

TODAY = date(2026, 11, 21)
SIZE = dataset.Size(name="plans", certifications=100_000, due=1_000)

CERTIFICATIONS = [
    "",
    "page=1990",
    "ordering=-expires_on&page=1000",
    "ordering=id&page=1000",
    "ordering=-id",
    "chapter=7",
    "chapter=7&state=expiring",
    "chapter=7&state=expired&page=3",
    "state=valid",
    "state=valid&page=700",
    "state=expiring",
    "state=expired&page=1000",
    "state=revoked",
    "state=upcoming",
    "type=taushetserklaering",
    "type=likepersonkurs&page=1500",
    "required=true",
    "mentor=500",
    "mentor_ref=M500",
    f"expires_before={TODAY - timedelta(days=1000)}",
    f"expires_before={TODAY}&ordering=-expires_on",
    f"expires_after={TODAY}",
    "search=mentor 500",
    "search=K500",
]
MENTORS = [
    "",
    "page=590",
    "ordering=-name",
    "ordering=ref&page=300",
    "ordering=id",
    "chapter=7",
    "chapter=7&status=paused&ordering=ref",
    "status=active",
    "status=active&page=300",
    "status=paused",
    "status=ended&ordering=-id",
    "pause_cause=manual",
    "pause_cause=certification_revoked",
    "listed=true",
    "listed=false",
    "ref=M500",
    "search=mentor 500",
]
URLS = [
    *(f"/api/v1/certifications?{query}" for query in CERTIFICATIONS),
    *(f"/api/v1/mentors?{query}" for query in MENTORS),
    "/api/v1/mentors/1/timeline",
    "/api/v1/exemptions?mentor=500",
    "/api/v1/notifications/unread-count",
    "/api/v1/certifications/expiring",
    "/api/v1/certifications/expiring?chapter=7&within_days=365",
]

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lead() -> Iterator[User]:
    """The coordinator of an organisation with years of history."""
    dataset.fill(SIZE, on=TODAY, now=timezone.now())
    user = User.objects.create_user("lead")
    CoordinatorRole.objects.create(user=user, organisation=Organisation.objects.get(slug=dataset.SLUG))
    with connection.cursor() as cursor:
        cursor.execute("SET random_page_cost = 1.1")  # as docs/settings.md tells those with servers of their own
    yield user
    with connection.cursor() as cursor:
        cursor.execute("RESET random_page_cost")


def test_every_filter_every_order_and_deep_pages_use_an_index(api: Api, lead: User) -> None:
    client = api(lead)

    scanned = {url: found for url in URLS if (found := tables_read_whole(client, url))}

    assert scanned == {}


def test_the_check_would_find_a_sequential_scan(lead: User) -> None:
    assert scanned_by("SELECT count(*) FROM certifications_certification WHERE revoked_reason = 'x'") == {
        "certifications_certification"
    }


def tables_read_whole(client: APIClient, url: str) -> set[str]:
    """Return the big tables that the queries behind an address read from end to end."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == 200, (url, answer.content)
    selects = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("SELECT")]
    assert selects
    return set().union(*(scanned_by(select) for select in selects))


def scanned_by(select: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {select}")
        [(plan,)] = cursor.fetchall()
    [root] = json.loads(plan) if isinstance(plan, str) else plan
    return {
        node["Relation Name"]
        for node in nodes_of(root["Plan"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG_TABLES
    }


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)
