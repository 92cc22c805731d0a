"""What the pages of the desk cost with 100,000 mentors: every list and the page of its first row, for each role."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from statistics import median
from urllib.parse import quote

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone

from cronjobs import nightly
from cronjobs.models import Run
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.bench.dataset import SLUG
from tests.bench.report import Row
from tests.support.databases import clone

MOST_MILLISECONDS, MOST_QUERIES = 300, 12


@dataclass(frozen=True, kw_only=True)
class Page:
    who: str
    name: str
    milliseconds: float
    queries: int


def measure_pages(template: str, *, on: date, repeats: int) -> list[Page]:
    """Ask for every page again and again, the whole request; the first time only fetches what it reads."""
    with clone(template), override_settings(ALLOWED_HOSTS=["testserver"], SECOND_FACTOR_REQUIRED=False):
        _fill(on=on)
        return [
            _measure(client, who, name, address, repeats=repeats)
            for who, user in _people().items()
            for client in [_client_of(user)]
            for name, address in _addresses(user)
        ]


def describe(pages: list[Page], *, mentors: int) -> list[Row]:
    """Set the slowest page of each role, and the one that asks most, beside what they may cost."""
    rows = []
    for who in dict.fromkeys(page.who for page in pages):
        own = [page for page in pages if page.who == who]
        slowest = max(own, key=lambda page: page.milliseconds)
        rows.append(
            Row(
                what=f"the slowest page of {len(own)}, {who}, of {mentors:,} mentors",
                measured=f"{slowest.milliseconds:.0f} ms: {slowest.name}",
                compared_with=f"the median: {median(page.milliseconds for page in own):.0f} ms",
                ratio=slowest.milliseconds,
                unit="ms",
                at_most=MOST_MILLISECONDS,
            )
        )
    most = max(pages, key=lambda page: page.queries)
    return [
        *rows,
        Row(
            what="the page that asks the database most",
            measured=f"{most.queries}: {most.name}, {most.who}",
            compared_with="",
            ratio=float(most.queries),
            unit="queries",
            at_most=MOST_QUERIES,
        ),
    ]


def _fill(*, on: date) -> None:
    """Add a schedule, and a night that is in the middle of its work."""
    now = timezone.now()
    organisation = Organisation.objects.get(slug=SLUG)
    job = create_cron_job(organisation=organisation, name="nightly", now=now)
    run = nightly.claim_run(
        organisation=organisation,
        business_date=on,
        trigger=Run.Trigger.MANUAL,
        approved=True,
        cron_job=job,
        now=now,
    )
    nightly.plan_run(run.pk, now=now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _people() -> dict[str, User]:
    """Return somebody of each role."""
    organisation = Organisation.objects.get(slug=SLUG)
    chapter = Chapter.objects.filter(organisation=organisation).order_by("pk")[0]
    people = {who: User.objects.create_user(f"bench-{number}") for number, who in enumerate(ROLES)}
    CoordinatorRole.objects.create(user=people[LEAD], organisation=organisation)
    CoordinatorRole.objects.create(user=people[COORDINATOR], organisation=organisation, chapter=chapter)
    User.objects.filter(pk=people[SUPERUSER].pk).update(is_superuser=True)
    return {who: User.objects.get(pk=user.pk) for who, user in people.items()}


COORDINATOR, LEAD, SUPERUSER = "a chapter's coordinator", "an organisation-wide coordinator", "a superuser"
ROLES = (COORDINATOR, LEAD, SUPERUSER)


def _client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _addresses(user: User) -> Iterator[tuple[str, str]]:
    """Return the home page, and of everything that the user sees the list and the page of its first row."""
    request = HttpRequest()
    request.user = user
    yield "home", reverse("admin:index")
    for model, page in admin.site._registry.items():
        if not page.has_view_permission(request):
            continue
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        yield f"list of {model._meta.verbose_name_plural}", reverse(f"admin:{name}_changelist")
        if (first := page.get_queryset(request).order_by("pk").first()) is not None:
            yield f"page of a {model._meta.verbose_name}", reverse(f"admin:{name}_change", args=[first.pk])
    someone = Mentor.objects.exclude(name="").order_by("pk").values_list("name", flat=True)[0]
    for what, text in (("search for a mentor", someone), ("search for what all are called", someone.split()[0])):
        yield what, reverse("admin:mentors_mentor_changelist") + f"?q={quote(text)}"


def _measure(client: Client, who: str, name: str, address: str, *, repeats: int) -> Page:
    queries = _ask(client, address)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        queries = _ask(client, address)
        seconds.append(time.perf_counter() - began)
    return Page(who=who, name=name, milliseconds=median(seconds) * 1000, queries=queries)


def _ask(client: Client, address: str) -> int:
    """Ask once; return how many queries it took."""
    connection.queries_log.clear()  # it keeps 9,000, and counts none beyond them
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
        assert b"".join(answer) if answer.streaming else answer.content
    assert answer.status_code == 200, (address, answer.status_code)
    return len(queries)
