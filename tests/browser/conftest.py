"""What the browser tests stand on: one service and one browser for all that follow each other, a visitor for each.

They come last, together: to start the service takes seconds, and so it starts once in each process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from certifications.models import Certification, CertificationType
from cronjobs.models import Run
from mentors.models import Mentor, Organisation
from tests.browser.chromium import MISSING, chromium, find_chromium
from tests.browser.scenes import Scene, set_scene
from tests.browser.service import Service, service
from tests.browser.sizes import SIZES
from tests.browser.visitor import PATIENCE, Visitor
from tests.conftest import Certify, Enrol
from tests.support.nights import plan_night

HERE = Path(__file__).parent
Visit = Callable[..., Visitor]

expect.set_options(timeout=PATIENCE)


@pytest.hookimpl(trylast=True)  # after the order of everything has been made random
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent == HERE)
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.processes)
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip(MISSING)
    with chromium(program) as started:
        yield started


@pytest.fixture(scope="package")
def running_service(browser: Browser, django_db_setup: None) -> Iterator[Service]:
    with service() as started:
        yield started


@pytest.fixture(params=SIZES)
def width(request: pytest.FixtureRequest) -> int:
    """Have the test twice: on a telephone, and on a screen."""
    value: int = request.param
    return value


@pytest.fixture
def visit(browser: Browser, running_service: Service, request: pytest.FixtureRequest, db: None) -> Iterator[Visit]:
    """Open a browser's window: `visit()`, or `visit(kari)` for somebody who has logged in. Nothing may go wrong in it.

    More options are Playwright's own for a context.
    """
    width: int = request.getfixturevalue("width") if "width" in request.fixturenames else 1440
    visitors: list[Visitor] = []

    def visit(user: Any = None, *, language: str = "en-GB", **options: Any) -> Visitor:
        size = dict(zip(("width", "height"), SIZES[width], strict=True))
        defaults: dict[str, Any] = {
            "viewport": size,
            "locale": language,
            "timezone_id": "Europe/Oslo",
            "has_touch": width == 375,
        }
        visitor = Visitor(browser.new_context(**defaults | options), running_service.url)
        visitors.append(visitor)
        if user:
            visitor.be(user)
        return visitor

    yield visit
    for visitor in visitors:
        visitor.leave()
    running_service.come_to_rest()
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    assert not troubles, "\n".join([*troubles, running_service.story()])


@pytest.fixture
def today(hlf: Organisation) -> date:
    """The processes know no other day than the real one."""
    return hlf.local_date(timezone.now())


@pytest.fixture
def certify(course: CertificationType, today: date) -> Certify:
    """Give a mentor a certification: `certify(mentor, expires_in=7)`, in days from the real today."""
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
            "issued_on": today + timedelta(days=issued),
            "expires_on": None if expires_in is None else today + timedelta(days=expires_in),
        } | fields
        return Certification.objects.create(mentor=mentor, type=type, **values)

    return certify


@pytest.fixture
def scene(hlf: Organisation, enrol: Enrol, certify: Certify, secrecy: CertificationType, today: date) -> Scene:
    return set_scene(hlf, enrol=enrol, certify=certify, secrecy=secrecy, today=today)


@pytest.fixture
def hold(hlf: Organisation, mentor: Mentor, certify: Certify, today: date) -> Callable[[], Mentor]:
    """Let the brake hold a run that would pause one mentor, and return her."""

    def hold() -> Mentor:
        Organisation.objects.update(brake_minimum=0, brake_percent=0)
        certify(mentor, expires_in=-1)
        hlf.refresh_from_db()
        run = plan_night(hlf, today, now=timezone.now())
        assert run.status == Run.Status.HELD
        return mentor

    return hold
