"""How the lists are answered from big tables: by an index, whatever is asked. The SQL is what the API really sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from mentors.models import CoordinatorRole, Organisation, User
from tests.bench import dataset
from tests.bench.measure import BIG_TABLES
from tests.conftest import NOW, TODAY, Api
from tests.support.databases import ask, connected_to, migrated_copy

NO_AUTOVACUUM = """
DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', name);
    END LOOP;
END $$
"""
# As small as leaves no doubt: of tables with less than 30,000 rows ANALYZE reads every one, so that the statistics are
# the same each time, and a list's index costs at most five sixths of the whole table (a count of all), mostly a tenth.
SIZE = dataset.Size(name="plans", certifications=20_000, due=200)
PAGES, MENTOR_PAGES = SIZE.certifications // 50, SIZE.mentors // 50  # of the whole lists

CERTIFICATIONS = [
    "",
    f"page={PAGES}",
    f"ordering=-expires_on&page={PAGES // 2}",
    f"ordering=id&page={PAGES // 2}",
    "ordering=-id",
    "chapter=7",
    "chapter=7&state=expiring",
    "chapter=7&state=expired&page=3",
    "state=valid",
    f"state=valid&page={PAGES // 3}",
    "state=expiring",
    f"state=expired&page={PAGES // 2}",
    "state=revoked",
    "state=upcoming",
    "type=taushetserklaering",
    f"type=likepersonkurs&page={PAGES * 3 // 4}",
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
    f"page={MENTOR_PAGES}",
    "ordering=-name",
    f"ordering=ref&page={MENTOR_PAGES // 2}",
    "ordering=id",
    "chapter=7",
    "chapter=7&status=paused&ordering=ref",
    "status=active",
    f"status=active&page={MENTOR_PAGES // 2}",
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

pytestmark = pytest.mark.django_db

# What decides between an index and the whole table, as PostgreSQL has it by itself; but for the first, which is
# the product's (README). A server whose administrator has chosen otherwise would be asked about that choice here.
PLANNER = {
    "random_page_cost": "1.1",
    "seq_page_cost": "1",
    "cpu_tuple_cost": "0.01",
    "cpu_index_tuple_cost": "0.005",
    "cpu_operator_cost": "0.0025",
    "effective_cache_size": "4GB",
    "work_mem": "4MB",
    "max_parallel_workers_per_gather": "2",
    "jit": "off",
} | {f"enable_{way}": "on" for way in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan", "sort", "nestloop")}


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """An organisation with years of history, in a database of its own, vacuumed and analysed, and then left alone."""
    database = f"{connection.settings_dict['NAME']}_plans"
    with django_db_blocker.unblock(), migrated_copy(database), connected_to(database):
        with connection.cursor() as cursor:
            # An ANALYZE that comes by itself would keep VACUUM from seeing that what was written is visible to all.
            cursor.execute(NO_AUTOVACUUM)
            cursor.execute("SET default_statistics_target = 100")
        with time_machine.travel(NOW):
            dataset.fill(SIZE, on=TODAY, now=NOW)
        unseen = "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relallvisible < relpages"
        assert ask(unseen, list(BIG_TABLES)) == [], "VACUUM was kept from its work: plans would say nothing"
        with django_db_blocker.block():
            yield


@pytest.fixture
def lead(history: None, db: None) -> User:
    """The coordinator of that organisation, while the planner's settings are those above."""
    with connection.cursor() as cursor:
        for name, value in PLANNER.items():
            cursor.execute(f"SET LOCAL {name} = '{value}'")
    user = User.objects.create_user("lead")
    CoordinatorRole.objects.create(user=user, organisation=Organisation.objects.get(slug=dataset.SLUG))
    return user


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
