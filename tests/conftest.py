"""The cast of the tests: an organisation with two chapters, its types, and the people in it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from django.utils import translation
from rest_framework.test import APIClient
from structlog.contextvars import clear_contextvars

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from mentors.rest.views import ScopedViewSet
from tests.browser.chromium import MISSING, find_chromium
from tests.support.processes import empty_broker

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)  # noon in Oslo

Certify = Callable[..., Certification]
Enrol = Callable[..., Mentor]
Api = Callable[..., APIClient]


def pytest_configure() -> None:
    """Let what the tests start hear Ctrl-C, also where they run in the background themselves, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"browser tests: {find_chromium() or 'skipped, ' + MISSING}"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Have what is raised outside of a request say it in English, as the tests read it."""
    with translation.override("en"):
        yield


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
def frozen_clock(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon in Oslo, for every request."""
    monkeypatch.setattr(ScopedViewSet, "now", now)
