"""What the browser tests stand on: one service and one browser for all that follow each other, a visitor for each.

They come last, together: to start the service takes seconds, and so it starts once in each process. A test that changes
something asks for `visit`, and has the database to itself; those that only look at a chapter, all from one module, ask
for `onlooker` and share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone, translation
from playwright.sync_api import Browser, expect
from pytest_django import DjangoDbBlocker

from certifications.models import Certification, CertificationType
from cronjobs.models import Run
from mentors.models import Chapter, Mentor, Organisation
from tests.browser.chromium import MISSING, chromium, find_chromium
from tests.browser.places import find_places
from tests.browser.scenes import Scene, Stage, set_scene, set_stage
from tests.browser.service import Service, service
from tests.browser.sizes import SIZES
from tests.browser.visitor import PATIENCE, Visitor
from tests.conftest import Certify
from tests.support.databases import copy_template
from tests.support.nights import plan_night

HERE = Path(__file__).parent
Visit = Callable[..., Visitor]
NamedPlaces = dict[str, str]

expect.set_options(timeout=PATIENCE)


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker("processes")


@pytest.hookimpl(trylast=True)  # after the order of everything has been made random
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent == HERE)


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


@pytest.fixture
def night_worker(running_service: Service) -> None:
    """Have somebody work the runs that a test starts."""
    running_service.start_worker()


@pytest.fixture(params=SIZES)
def width(request: pytest.FixtureRequest) -> int:
    """Have the test twice: on a telephone, and on a screen."""
    value: int = request.param
    return value


def open_window(browser: Browser, url: str, *, width: int, **options: Any) -> Visitor:
    """Open a window of that width; more options are Playwright's own for a context."""
    defaults: dict[str, Any] = {
        "viewport": dict(zip(("width", "height"), SIZES[width], strict=True)),
        "locale": "en-GB",
        "timezone_id": "Europe/Oslo",
        "has_touch": width == 375,
    }
    return Visitor(browser.new_context(**defaults | options), url)


@pytest.fixture
def visit(
    browser: Browser, running_service: Service, request: pytest.FixtureRequest, transactional_db: None
) -> Iterator[Visit]:
    """Open a browser's window: `visit()`, or `visit(kari)` for her who has logged in. Nothing may go wrong in it."""
    width: int = request.getfixturevalue("width") if "width" in request.fixturenames else 1440
    visitors: list[Visitor] = []

    def visit(user: Any = None) -> Visitor:
        visitor = open_window(browser, running_service.url, width=width)
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


@pytest.fixture(scope="module")
def stage(running_service: Service, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Stage]:
    """Return a chapter with all that is in it, for the tests of a module, which only look at it."""
    with django_db_blocker.unblock(), translation.override("en"):
        set_up = set_stage()
    yield set_up
    with django_db_blocker.unblock():
        connection.close()
        copy_template(str(connection.settings_dict["NAME"]))


@pytest.fixture(scope="module")
def places(stage: Stage, django_db_blocker: DjangoDbBlocker) -> NamedPlaces:
    with django_db_blocker.unblock():
        return find_places(stage.scene)


@pytest.fixture(scope="module")
def onlookers(
    browser: Browser, running_service: Service, stage: Stage, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[[int], Visitor]]:
    """Return who looks at the stage in a window of a width: Olav, who has logged in, all the time the same."""
    known: dict[int, Visitor] = {}

    def find(width: int) -> Visitor:
        if width not in known:
            known[width] = open_window(browser, running_service.url, width=width)
            with django_db_blocker.unblock():
                known[width].be(stage.olav)
        return known[width]

    yield find
    for visitor in known.values():
        visitor.leave()


@pytest.fixture
def onlooker(
    onlookers: Callable[[int], Visitor], running_service: Service, request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    """Look at the stage: `onlooker.open("/admin/")`. The window is as new; nothing may go wrong in it."""
    width: int = request.getfixturevalue("width") if "width" in request.fixturenames else 1440
    visitor = onlookers(width)
    visitor.refresh(SIZES[width])
    yield visitor
    assert not visitor.troubles, "\n".join([*visitor.troubles, running_service.story()])


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
def scene(oslo: Chapter, course: CertificationType, secrecy: CertificationType, today: date) -> Scene:
    return set_scene(oslo, course, secrecy, today=today)


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
