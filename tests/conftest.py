"""The cast of the tests: an organisation with two chapters, its types, and the people in it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
import time_machine
from django.apps import apps
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, transaction
from django.test import Client, TransactionTestCase
from django.utils import timezone, translation
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient
from structlog.contextvars import clear_contextvars

import mentors.clock
from certifications.models import Certification, CertificationType
from config import health
from cronjobs.models import CronJob
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.acceptance.proxy.service import find_missing
from tests.browser.chromium import MISSING, find_chromium
from tests.support.databases import connected_to, copy_template, drop
from tests.support.processes import empty_broker

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)  # noon in Oslo

CAMPAIGNS = {"acceptance", "browser", "bench"}  # folders

Certify = Callable[..., Certification]
Enrol = Callable[..., Mentor]
Api = Callable[..., APIClient]
Desk = Callable[[User], Client]


def pytest_configure() -> None:
    PBKDF2PasswordHasher.iterations = 1  # nobody guesses these passwords; a real server still reads them
    # One connection a thread, also while Playwright has an event loop in it. asgiref would give it another one there,
    # and the first would not be closed when its database is made anew.
    connections._connections = threading.local()  # type: ignore[attr-defined]
    # Both end a run so that nothing which it started lives on. In the background, a process ignores Ctrl-C at first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is in the folders of the campaigns, of which `make test` plays only the canaries."""
    if CAMPAIGNS & set(item.path.relative_to(Path(__file__).parent).parts):
        item.add_marker("campaign")


def pytest_report_header() -> list[str]:
    wants = find_missing()
    return [
        f"browser tests: {find_chromium() or 'skipped, ' + MISSING}",
        f"tests of the proxy: {'skipped, ' + wants if wants else 'with nginx'}",
    ]


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Give this process a copy of the template, and a new one after each test that commits: what it left is gone."""
    database = os.environ["TEST_DATABASE"]

    def renew(_case: TransactionTestCase | None = None) -> None:
        connection.close()
        copy_template(database)

    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(TransactionTestCase, "_fixture_teardown", renew)  # instead of emptying every table
        renew()
        with connected_to(database):
            # Filled as in a process that has served for a while, and right for every copy: all have the same ids.
            ContentType.objects.get_for_models(*apps.get_models())
            with django_db_blocker.block():
                yield
        drop(database)


@pytest.fixture(scope="module")
def module_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a fixture of a module fill the database once; each test then works in a savepoint of this transaction."""
    atomic = transaction.atomic()
    atomic._from_testcase = True  # type: ignore[attr-defined]  # a claim, which insists on its own, may be in it
    with django_db_blocker.unblock(), atomic:
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Have what is raised outside of a request say it in English, as the tests read it."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Have the health addresses ask anew, though the test before may have asked within the same second."""
    health.readiness.forget()
    health.last_known_nights.forget()


def this_minute() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> Iterator[time_machine.Traveller | None]:
    """Begin each test at NOW, whatever the date is; it may move the clock: `clock.move_to(…)`, `clock.shift(seconds)`.

    The database's clock goes with it, by whole minutes, as each test says itself what `now` is. Only a test with real
    processes has the real time, as they have.
    """
    if request.node.get_closest_marker("processes"):
        yield None
        return
    with time_machine.travel(NOW) as traveller, patch.object(mentors.clock, "database_now", this_minute):
        yield traveller


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    """Let nothing that one test binds to its log lines, as a task that it calls does, stand in those of the next."""
    yield
    clear_contextvars()


@pytest.fixture(autouse=True)
def nothing_queued(request: pytest.FixtureRequest) -> None:
    """Have a test with a real worker begin with no message that another test left behind."""
    if request.node.get_closest_marker("processes"):
        empty_broker()


@pytest.fixture
def today() -> date:
    return TODAY


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def hlf(db: None) -> Organisation:
    return Organisation.objects.create(slug="hlf", name="HLF")


@pytest.fixture
def oslo(hlf: Organisation) -> Chapter:
    return Chapter.objects.create(organisation=hlf, name="Oslo", slug="oslo")


@pytest.fixture
def bergen(hlf: Organisation) -> Chapter:
    return Chapter.objects.create(organisation=hlf, name="Bergen", slug="bergen")


@pytest.fixture
def elsewhere(db: None) -> Chapter:
    """A chapter of another organisation."""
    other = Organisation.objects.create(slug="other", name="Other")
    return Chapter.objects.create(organisation=other, name="Oslo", slug="oslo")


@pytest.fixture
def course(hlf: Organisation) -> CertificationType:
    """A required type."""
    return CertificationType.objects.create(organisation=hlf, code="likepersonkurs", name="Kurs", required=True)


@pytest.fixture
def secrecy(hlf: Organisation) -> CertificationType:
    """Another required type."""
    return CertificationType.objects.create(organisation=hlf, code="taushetserklaering", name="Taushet", required=True)


@pytest.fixture
def sign_language(hlf: Organisation) -> CertificationType:
    """An optional type."""
    return CertificationType.objects.create(organisation=hlf, code="tegnsprak", name="Tegnspråk")


@pytest.fixture
def kari(oslo: Chapter) -> User:
    """The coordinator of Oslo."""
    user = User.objects.create_user("kari", email="kari@example.org")
    CoordinatorRole.objects.create(user=user, organisation=oslo.organisation, chapter=oslo)
    return user


@pytest.fixture
def olav(hlf: Organisation) -> User:
    """The organisation-wide coordinator."""
    user = User.objects.create_user("olav", email="olav@example.org")
    CoordinatorRole.objects.create(user=user, organisation=hlf)
    return user


@pytest.fixture
def enrol(oslo: Chapter) -> Enrol:
    """Enrol a mentor: `enrol()`, or with any of the model's fields."""
    numbers = count(1)

    def enrol(**fields: object) -> Mentor:
        number = next(numbers)
        values = {
            "chapter": oslo,
            "ref": f"M{number}",
            "name": f"Mentor {number}",
            "email": f"m{number}@example.org",
        } | fields
        return Mentor.objects.create(organisation=oslo.organisation, **values)

    return enrol


@pytest.fixture
def mentor(enrol: Enrol) -> Mentor:
    return enrol(ref="M0", name="Liv Moe", email="liv@example.org")


@pytest.fixture
def bergenser(enrol: Enrol, bergen: Chapter) -> Mentor:
    """A mentor whom Kari does not look after."""
    return enrol(chapter=bergen, ref="B1", name="Bergljot Bergenser", email="b@example.org")


@pytest.fixture
def foreigner(elsewhere: Chapter) -> Mentor:
    """A mentor of another organisation."""
    return Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="F1", name="Fremmed Frans")


@pytest.fixture
def certify(course: CertificationType) -> Certify:
    """Give a mentor a certification: `certify(mentor, expires_in=7)`, in days from today; None is open-ended."""
    numbers = count(1)

    def certify(
        mentor: Mentor,
        *,
        type: CertificationType = course,
        expires_in: int | None = 365,
        issued: int = -365,
        **fields: object,
    ) -> Certification:
        values = {
            "number": f"C{next(numbers)}",
            "issued_on": TODAY + timedelta(days=issued),
            "expires_on": None if expires_in is None else TODAY + timedelta(days=expires_in),
        } | fields
        return Certification.objects.create(mentor=mentor, type=type, **values)

    return certify


@pytest.fixture
def auditor(hlf: Organisation) -> User:
    """Reads the runs of the organisation."""
    user = User.objects.create_user("revisor")
    CoordinatorRole.objects.create(user=user, organisation=hlf, duty=CoordinatorRole.Duty.AUDITOR)
    return user


@pytest.fixture
def api() -> Api:
    """Return a client that is logged in as the user: `api(kari).get("/api/v1/me")`."""

    def log_in(user: User | None = None) -> APIClient:
        client = APIClient(headers={"Accept-Language": "en"})
        client.force_authenticate(user)
        return client

    return log_in


@pytest.fixture
def desk(db: None) -> Desk:
    """Return a browser at the desk that is logged in as the user: `desk(kari).get("/admin/")`."""

    def log_in(user: User) -> Client:
        client = Client(headers={"Accept-Language": "en"})
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    """The organisation's nightly job, which was made yesterday: its slot of this night has no run."""
    return schedule_nightly_run(organisation=hlf, now=NOW - timedelta(days=1))
