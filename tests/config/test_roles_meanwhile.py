"""A role that ends, or a mentor who moves, while somebody waits for a lock: they may not do it any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from certifications.models import Certification, Exemption, Extension
from mentors.models import Chapter, CoordinatorRole, Mentor, User
from tests.conftest import Certify
from tests.support.at_once import side_by_side
from tests.support.desk import page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(mentor: Mentor, certify: Certify) -> Certification:
    return certify(mentor, expires_in=10)


@pytest.fixture
def leader(kari: User) -> User:
    """Kari looks after her own chapter, and may exempt in it as whoever leads."""
    CoordinatorRole.objects.filter(user=kari).update(chapter=None)
    return kari


DAYS = {"issued_on": "2026-11-20", "number": "1"}
EXEMPTION = {"from_on": "2026-11-20", "until_on": "2026-12-20", "reason": "A course."}
EXTENSION = {"reason": "A course was cancelled.", "months": "6"}
NO_PREFERENCE = {"preference-TOTAL_FORMS": "0", "preference-INITIAL_FORMS": "0"}

# How each is done: the address and what is sent.
ACTS: dict[str, Callable[[Certification], tuple[str, dict[str, Any]]]] = {
    "api: pause": lambda held: (f"/api/v1/mentors/{held.mentor_id}/pause", {"reason": "ill"}),
    "api: change": lambda held: (f"PATCH /api/v1/mentors/{held.mentor_id}", {"name": "Other"}),
    "api: record": lambda held: (
        "/api/v1/certifications", {"mentor": held.mentor_id, "type": held.type.code, **DAYS},
    ),
    "api: renew": lambda held: (f"/api/v1/certifications/{held.pk}/renew", DAYS),
    "api: exempt": lambda held: (
        "/api/v1/exemptions", {"mentor": held.mentor_id, "type": held.type.code, **EXEMPTION},
    ),
    "desk: pause": lambda held: (page(held.mentor, "pause"), {"reason": "ill"}),
    "desk: change": lambda held: (
        page(held.mentor),
        {"chapter": held.mentor.chapter_id, "ref": "M0", "name": "Other", "language": "nb", **NO_PREFERENCE},
    ),
    "desk: record": lambda held: (
        "/admin/certifications/certification/add/", {"mentor": held.mentor_id, "type": held.type_id, **DAYS},
    ),
    "desk: renew": lambda held: (page(held, "renew"), DAYS),
    "desk: revoke": lambda held: (page(held, "revoke"), {"reason": "forged"}),
    "desk: exempt": lambda held: (
        "/admin/certifications/exemption/add/", {"mentor": held.mentor_id, "type": held.type_id, **EXEMPTION},
    ),
    "desk: course": lambda held: (
        "/admin/certifications/certification/course/",
        {"attendees": str(held.mentor_id), "type": held.type_id, **DAYS, "apply": "1"},
    ),
}  # fmt: skip


def client_of(user: User, act: str) -> Any:
    """Return a client that is in already: to log in would wait for the account, and not for the mentor."""
    if act.startswith("desk"):
        browser = Client(raise_request_exception=False)
        browser.force_login(user)
        return browser
    app = APIClient(raise_request_exception=False)
    app.force_authenticate(user)
    return app


def do(client: Any, address: str, sent: dict[str, Any]) -> Any:
    method, _, path = address.rpartition(" ")
    if not isinstance(client, APIClient):
        return client.post(path, sent)
    return getattr(client, method.lower() or "post")(path, sent, format="json")


def everything() -> list[Any]:
    return [
        *Mentor.objects.order_by("pk").values_list("pk", "name", "status"),
        *Certification.objects.order_by("pk").values_list("pk", "expires_on", "revoked_at"),
        *Exemption.objects.values_list("pk"),
        *Extension.objects.values_list("pk"),
    ]


def end_the_role(leader: User, _mentor: Mentor) -> None:
    CoordinatorRole.objects.filter(user=leader).delete()


def close_the_account(leader: User, _mentor: Mentor) -> None:
    User.objects.filter(pk=leader.pk).update(is_active=False)


def move_the_mentor(leader: User, mentor: Mentor) -> None:
    """To a chapter that she does not look after."""
    away = Chapter.objects.create(organisation=mentor.organisation, slug="away", name="Away")
    CoordinatorRole.objects.filter(user=leader).update(chapter=mentor.chapter)
    Mentor.objects.filter(pk=mentor.pk).update(chapter=away)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("happen", [end_the_role, close_the_account, move_the_mentor])
def test_what_happens_while_they_wait_counts(
    leader: User, mentor: Mentor, held: Certification, happen: Callable[[User, Mentor], None], act: str
) -> None:
    address, sent = ACTS[act](held)
    before, client = everything(), client_of(leader, act)

    def first() -> None:
        Mentor.objects.locked().get(pk=mentor.pk)
        happen(leader, mentor)

    _done, answer = side_by_side(first, lambda: do(client, address, sent))

    assert answer.status_code in (302, 403, 404, 422)  # type: ignore[attr-defined]
    assert everything() == before


@pytest.mark.parametrize("act", ACTS)
def test_without_that_it_is_done(leader: User, mentor: Mentor, held: Certification, act: str) -> None:
    """Otherwise the one above would say nothing."""
    address, sent = ACTS[act](held)
    before = everything()

    answer = do(client_of(leader, act), address, sent)

    assert answer.status_code in (200, 201, 302), answer.content
    assert everything() != before
