"""Whatever anybody sends to the desk: no page breaks, and nothing of another organisation is shown."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import cycle, islice

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from mentors.models import User
from tests.conftest import NOW, TODAY
from tests.support.hostile import (
    BUTTONS,
    CONTROLS,
    FEW,
    WRONG,
    Trouble,
    addresses,
    fields_of,
    lookups_of,
    pairs,
    parameters_of,
)
from tests.support.world import World, build_world

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore:DateTimeField"),  # the days of Django's own filters are naive
]

# How many wrong values each parameter and field gets; `EXAMPLES=36 make test-campaigns PYTEST="-k hostile"` for all.
EXAMPLES = min(int(os.environ.get("EXAMPLES", "1")), len(WRONG))
campaign = pytest.mark.skipif(
    "EXAMPLES" not in os.environ, reason="takes half an hour: EXAMPLES=2 make test-campaigns PYTEST='-k hostile'"
)
ROLES = ["chapter", "lead", "auditor", "superuser", "anonymous"]
FOREIGN = ("Ålesund", "Norges Blindeforbund", "leder-nbf", "fremmed")


@pytest.fixture
def world() -> World:
    return build_world(today=TODAY, now=NOW)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log nothing: thousands of requests are refused."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def as_role(world: World, role: str) -> Trouble:
    client = Client(headers={"Accept-Language": "en"}, raise_request_exception=False)
    if user := world.users[role]:
        client.force_login(user)
    return Trouble(client=client, foreign=() if role == "superuser" else FOREIGN)


def test_a_chapters_coordinator_finds_no_list_that_breaks(world: World) -> None:
    trouble = as_role(world, "chapter")

    ask_lists(trouble, world, with_lookups=False)

    assert trouble.found == {}


@campaign
@pytest.mark.parametrize("role", ROLES)
def test_no_list_breaks(world: World, role: str) -> None:
    trouble = as_role(world, role)

    ask_lists(trouble, world, with_lookups=True)

    assert trouble.found == {}


@campaign
@pytest.mark.parametrize("role", ROLES)
def test_no_page_breaks_by_its_address(world: World, role: str) -> None:
    trouble = as_role(world, role)

    turns = cycle(WRONG)

    for address in addresses():
        for id in (*address.ids, *islice(turns, 5 * EXAMPLES)) if address.has_id else ():
            trouble.get(address.of(id))
            trouble.post(address.of(id), {})
        for page in address.pages[:1]:
            names = (*fields_of(trouble.get(page)), *CONTROLS)
            for name, value in pairs(names, WRONG, each=EXAMPLES):
                trouble.get(page, {name: value})

    assert trouble.found == {}


@campaign
@pytest.mark.parametrize("role", ROLES)
def test_no_form_breaks_by_what_it_is_filled_in_with(world: World, role: str) -> None:
    trouble = as_role(world, role)

    for page in (page for address in addresses() for page in address.pages[:1]):
        fields = fields_of(trouble.get(page))
        trouble.post(page, fields)
        for name, value in pairs((*fields, *BUTTONS), WRONG, each=EXAMPLES) if fields else ():
            trouble.post(page, fields | {name: value})

    assert trouble.found == {}


def ask_lists(trouble: Trouble, world: World, *, with_lookups: bool) -> None:
    """Ask the lists that the role has by what they know, and by the lookups that Django would know."""
    root = Client()
    root.force_login(User.objects.get(pk=world.users["superuser"].pk))  # type: ignore[union-attr]
    for model in admin.site._registry:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        answer = trouble.get(page)
        if answer.status_code != 200 or "cl" not in (answer.context or ()):
            continue
        known = parameters_of(model, root.get(page).wsgi_request)
        lookups = pairs(lookups_of(model), FEW, each=1) if with_lookups else ()
        for name, value in (*pairs((*known, *CONTROLS), WRONG, each=EXAMPLES), *lookups):
            trouble.get(page, {name: value})
