"""Who may do what: every endpoint, as every role, on its own chapter, another chapter, and another organisation.

The table is the contract's. What a role does not see is 404, what it sees and may not do is 403, what is named in a
body and not seen is 400, and without a token everything is 401.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from knox.models import AuthToken
from rest_framework.test import APIClient

from mentors.models import User
from tests.conftest import NOW, TODAY, Api
from tests.support.world import Place, World, build_world

pytestmark = pytest.mark.django_db

API = "/api/v1/"
PLACES = ("own", "other_chapter", "elsewhere")
Statuses = dict[str, tuple[int, int, int]]

NOBODY: Statuses = {"none": (404, 404, 404), "anonymous": (401, 401, 401)}
LOGGED_IN = ("chapter", "lead", "auditor", "superuser", "foreign", "none")
OPEN_TO_ALL: Statuses = dict.fromkeys(LOGGED_IN, (200, 200, 200)) | {"anonymous": (401, 401, 401)}


def about_mentors(done: int) -> Statuses:
    """What a chapter's coordinator does for the mentors of the chapter."""
    return NOBODY | {
        "chapter": (done, 404, 404),
        "lead": (done, done, 404),
        "auditor": (404, 404, 404),
        "superuser": (done, done, done),
        "foreign": (404, 404, done),
    }


def about_mentors_by_leads(done: int) -> Statuses:
    """What asks for an organisation-wide coordinator, about mentors."""
    return about_mentors(done) | {"chapter": (403, 404, 404)}


def of_the_organisation(done: int) -> Statuses:
    """What every coordinator of the organisation sees."""
    return about_mentors(done) | {"chapter": (done, done, 404)}


def seen_with_any_role(done: int) -> Statuses:
    """Runs and schedules, to be read."""
    return of_the_organisation(done) | {"auditor": (done, done, 404)}


def led(done: int) -> Statuses:
    """Runs and schedules, to be changed."""
    return seen_with_any_role(done) | {"chapter": (403, 403, 404), "auditor": (403, 403, 404)}


def named_in_a_body(done: int) -> Statuses:
    """A mentor or a chapter named in a body."""
    return {
        "chapter": (done, 400, 400),
        "lead": (done, done, 400),
        "auditor": (403, 403, 403),
        "superuser": (done, done, done),
        "foreign": (400, 400, done),
        "none": (403, 403, 403),
        "anonymous": (401, 401, 401),
    }


def named_by_leads(done: int) -> Statuses:
    return named_in_a_body(done) | {"chapter": (403, 403, 403)}


REASON = {"reason": "Because."}
ENDPOINTS: list[tuple[str, str, Any, Statuses]] = [
    ("GET", "me", None, OPEN_TO_ALL),
    ("GET", "certifications", None, OPEN_TO_ALL),
    ("GET", "certifications/expiring", None, OPEN_TO_ALL),
    ("GET", "certifications/{certification}", None, about_mentors(200)),
    (
        "POST",
        "certifications",
        {"mentor": "{mentor}", "type": "likepersonkurs", "issued_on": "2026-11-01"},
        named_in_a_body(201),
    ),
    ("PUT", "certifications/{certification}", {"issued_on": "2026-11-01", "expires_on": None}, about_mentors(200)),
    ("PATCH", "certifications/{certification}", {"number": "new"}, about_mentors(200)),
    ("DELETE", "certifications/{certification}", None, about_mentors_by_leads(204)),
    ("POST", "certifications/{certification}/revoke", REASON, about_mentors(200)),
    ("POST", "certifications/{certification}/renew", {"issued_on": "2026-11-20"}, about_mentors(201)),
    ("POST", "certifications/expiry-job/run", {"organisation": "{organisation}", "dry_run": True}, named_by_leads(202)),
    ("GET", "certification-types", None, OPEN_TO_ALL),
    ("GET", "certification-types/{type}", None, of_the_organisation(200)),
    ("GET", "exemptions", None, OPEN_TO_ALL),
    ("GET", "exemptions/{exemption}", None, about_mentors(200)),
    (
        "POST",
        "exemptions",
        {"mentor": "{mentor}", "type": "likepersonkurs", "until_on": "2027-01-01", "reason": "Because."},
        named_by_leads(201),
    ),
    ("GET", "mentors", None, OPEN_TO_ALL),
    ("GET", "mentors/{mentor}", None, about_mentors(200)),
    ("GET", "mentors/{mentor}/timeline", None, about_mentors(200)),
    ("POST", "mentors", {"chapter": "{chapter}", "ref": "new-{chapter}", "name": "Ny"}, named_in_a_body(201)),
    (
        "PUT",
        "mentors/{mentor}",
        {
            "chapter": "{chapter}",
            "ref": "new-{mentor}",
            "name": "Ny",
            "email": "",
            "phone": "",
            "language": "nn",
            "listed": False,
        },
        about_mentors(200),
    ),
    ("PATCH", "mentors/{mentor}", {"listed": False}, about_mentors(200)),
    ("POST", "mentors/{mentor}/pause", REASON, about_mentors(200)),
    ("POST", "mentors/{mentor}/resume", REASON, about_mentors(409)),
    ("POST", "mentors/{mentor}/resume", REASON | {"exempt_until": "2027-01-01"}, about_mentors_by_leads(409)),
    ("POST", "mentors/{mentor}/end", REASON, about_mentors(200)),
    ("GET", "chapters", None, OPEN_TO_ALL),
    ("GET", "chapters/{chapter}", None, about_mentors(200)),
    ("GET", "notifications", None, OPEN_TO_ALL),
    ("GET", "notifications/unread-count", None, OPEN_TO_ALL),
    ("GET", "certification-cron", None, OPEN_TO_ALL),
    ("GET", "certification-cron/{job}", None, seen_with_any_role(200)),
    ("GET", "certification-cron/{job}/runs", None, seen_with_any_role(200)),
    (
        "POST",
        "certification-cron",
        {"organisation": "{organisation}", "name": "new-{chapter}", "cron_expression": "0 3 * * *"},
        named_by_leads(201),
    ),
    ("PATCH", "certification-cron/{job}", {"cron_expression": "0 4 * * *"}, led(200)),
    ("POST", "certification-cron/{job}/resolve-drift", {"keep": "schedule"}, led(200)),
    ("DELETE", "certification-cron/{job}", None, led(204)),
    ("POST", "certification-cron/{job}/execute", {"dry_run": True}, led(202)),
    ("POST", "certification-cron/{job}/execute", {}, led(409)),
    ("GET", "runs", None, OPEN_TO_ALL),
    ("GET", "runs/export", None, OPEN_TO_ALL),
    ("GET", "runs/{run}", None, seen_with_any_role(200)),
    ("GET", "runs/{run}/items", None, seen_with_any_role(200)),
    ("GET", "runs/{run}/export", None, seen_with_any_role(200)),
    ("POST", "runs/{held}/approve", None, led(200)),
    ("POST", "runs/{held}/reject", REASON, led(200)),
    ("POST", "runs/{run}/undo", REASON, led(200)),
    ("POST", "runs/{run}/retry", None, led(409)),
]
ROLES = (*LOGGED_IN, "anonymous")


@pytest.fixture(scope="module")
def built(module_db: None) -> World:
    """The world of all these cases, which costs more than a case does."""
    with time_machine.travel(NOW, tick=False):
        return build_world(today=TODAY, now=NOW)


@pytest.fixture
def world(built: World, db: None) -> World:
    """The same rows, and objects of this case's own: what one keeps on a user or a mentor, no other sees."""
    return deepcopy(built)


def fill_in(template: Any, place: Place) -> Any:
    """Put the ids of a place into an address or a body."""
    if isinstance(template, dict):
        return {name: fill_in(value, place) for name, value in template.items()}
    if not isinstance(template, str) or "{" not in template:
        return template
    if template == "{organisation}":
        return place.organisation.slug
    ids = {name: getattr(place, name).pk for name in Place.__annotations__}
    filled = template.format(**ids)
    return int(filled) if filled.isdigit() else filled


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("method", "path", "body", "statuses"), ENDPOINTS, ids=[f"{method} {path}" for method, path, *_ in ENDPOINTS]
)
def test_each_role_may_what_the_contract_says_and_nothing_else(
    world: World, api: Api, method: str, path: str, body: Any, statuses: Statuses, role: str
) -> None:
    client = api(world.users[role])

    answered = []
    for name in PLACES:
        place = getattr(world, name)
        answer = client.generic(
            method,
            API + fill_in(path, place),
            json.dumps(fill_in(body, place)) if body is not None else "",
            content_type="application/json",
        )
        answered.append(answer.status_code)

    # What both chapters of an organisation share can be decided on once.
    expected = statuses[role]
    if "{held}" in path or (method == "DELETE" and "{job}" in path):
        expected, answered = expected[::2], answered[::2]  # type: ignore[assignment]
    assert tuple(answered) == expected


def test_every_endpoint_stands_in_the_table() -> None:
    elsewhere = {"auth/login", "auth/logout", "auth/logout-all", "schema", "docs", "notifications/{}",
                 "notifications/{}/read", "public/{}/chapters/{}/mentors"}  # fmt: skip
    in_the_table = {path.replace(name, "{}") for _, path, *_ in ENDPOINTS for name in [_braces(path)] if name}
    in_the_table |= {path for _, path, *_ in ENDPOINTS if "{" not in path}

    served = {_path_of(pattern) for pattern in _patterns(get_resolver("config.urls")) if pattern.startswith("api/v1/")}

    assert served - elsewhere - {""} == in_the_table


def _braces(path: str) -> str:
    return path[path.index("{") : path.index("}") + 1] if "{" in path else ""


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        else:
            yield from _patterns(entry, path)


def _path_of(pattern: str) -> str:
    path = pattern.removeprefix("api/v1/").replace("^", "").removesuffix("$").removesuffix("/?")
    return re.sub(r"\(\?P<\w+>(?:\[[^]]*\]|[^)])*\)", "{}", path)


LISTS = ["certifications", "certifications/expiring?within_days=3660", "certification-types", "exemptions", "mentors",
         "chapters", "notifications", "certification-cron", "runs"]  # fmt: skip
QUESTIONS = ["", "search=lesund", "search=likeperson", "search=Ålesund-1", "mentor={mentor}", "chapter={chapter}",
             "mentor_ref=Ålesund-1", "ref=Ålesund-1", "organisation=nbf", "cron_job={job}", "type=likepersonkurs",
             "ordering=-id", "page_size=1", "state=expiring"]  # fmt: skip
FOREIGN_WORDS = ("lesund", "nbf", "Blindeforbund")


@pytest.mark.parametrize("role", ["chapter", "lead", "auditor", "none"])
def test_nothing_of_another_organisation_shows_in_any_list_filter_search_order_or_count(
    world: World, api: Api, role: str
) -> None:
    client = api(world.users[role])
    seen_by_root = api(world.users["superuser"])

    for path in LISTS:
        whole = client.get(API + path).json()
        for question in QUESTIONS:
            address = f"{API}{path}{'&' if '?' in path else '?'}{fill_in(question, world.elsewhere)}"
            answer = client.get(address)
            text = json.dumps({**answer.json(), "next": None}, ensure_ascii=False)
            leaked = [word for word in FOREIGN_WORDS if word in text]
            if answer.status_code == 200:
                assert not leaked, (address, text)
                assert answer.json()["count"] <= whole["count"], address
            else:
                assert answer.status_code == 400, (address, text)
                assert answer.json() == seen_by_root.get(address).json(), address


@pytest.mark.parametrize("role", ["chapter", "lead", "auditor"])
def test_a_chapter_sees_of_a_run_only_its_own_mentors_also_in_the_export(world: World, api: Api, role: str) -> None:
    client = api(world.users[role])
    seen = "".join(
        client.get(f"{API}runs/{place.run.pk}/{what}").getvalue().decode()
        for place in (world.own, world.other_chapter)
        for what in ("items", "export", "export?format=json", "items?mentor_ref=Bergen-1")
    )

    assert ("Bergen" in seen) == (role != "chapter")
    assert "Oslo-1" in seen


def test_a_related_id_out_of_scope_is_refused_in_the_words_for_one_that_does_not_exist(world: World, api: Api) -> None:
    client = api(world.users["chapter"])

    def refusal(mentor: int) -> Any:
        body = {"mentor": mentor, "type": "likepersonkurs", "issued_on": "2026-11-01"}
        return json.loads(client.post(f"{API}certifications", body).content.replace(str(mentor).encode(), b"N"))

    assert refusal(world.elsewhere.mentor.pk) == refusal(world.other_chapter.mentor.pk) == refusal(999_999)


def test_notifications_are_ones_own(world: World, api: Api) -> None:
    def mine(user: User | None) -> list[int]:
        return [row["id"] for row in api(user).get(f"{API}notifications").json()["results"]]

    chapter, lead = mine(world.users["chapter"]), mine(world.users["lead"])
    client: APIClient = api(world.users["chapter"])

    assert (len(chapter), len(lead), mine(world.users["superuser"])) == (1, 1, [])
    assert client.post(f"{API}notifications/{lead[0]}/read").status_code == 404
    assert client.get(f"{API}notifications/{lead[0]}").status_code == 404
    assert client.post(f"{API}notifications/{chapter[0]}/read").status_code == 200


READ = [(path, body) for method, path, body, _statuses in ENDPOINTS if method == "GET"]


@pytest.mark.parametrize("end", ["roles", "account"])
@pytest.mark.parametrize("role", ["chapter", "lead", "auditor", "superuser"])
def test_after_the_end_nothing_that_is_stored_is_read(world: World, role: str, end: str) -> None:
    """Every address that reads, for who has held a role until a moment ago: by what nothing has revoked."""
    user = world.users[role]
    assert user
    lists = [path for path, _body in READ if "{" not in path and not path.endswith(("me", "export", "unread-count"))]
    pages = [fill_in(path, world.own) for path, _body in READ if "{" in path]
    desk = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    client, browser = Client(headers={"authorization": f"Token {AuthToken.objects.create(user)[1]}"}), Client()
    assert 200 in {client.get(API + path).status_code for path in pages}

    if end == "account":
        User.objects.filter(pk=user.pk).update(is_active=False)
    User.objects.filter(pk=user.pk).update(is_superuser=False)
    user.roles.get_queryset()._raw_delete("default")  # past what ends all access
    answers = [client.get(API + path) for path in lists]
    user.refresh_from_db()
    browser.force_login(user)

    assert {answer.status_code for answer in answers} <= ({401} if end == "account" else {200})
    assert not [answer.json() for answer in answers if answer.json().get("results")]
    assert {client.get(API + path).status_code for path in pages} <= {401, 404}
    assert {browser.get(path)["Location"].split("?")[0] for path in desk} == {"/admin/login/"}
