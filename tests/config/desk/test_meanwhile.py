"""Whoever removes or makes something at the same moment, nobody else gets an error, and nothing comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from certifications.models import CertificationType
from cronjobs.models import CronJob
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.conftest import TODAY
from tests.support.at_once import side_by_side

pytestmark = pytest.mark.django_db(transaction=True)

MEANWHILE = "Somebody has changed or removed it meanwhile: look at it again."
DAYS = {"issued_on": str(TODAY), "number": "1"}


@dataclass(frozen=True, kw_only=True)
class World:
    hlf: Organisation
    oslo: Chapter
    bergen: Chapter
    course: CertificationType
    mentor: Mentor
    job: CronJob
    role: CoordinatorRole


@pytest.fixture
def world(
    hlf: Organisation,
    oslo: Chapter,
    bergen: Chapter,
    course: CertificationType,
    kari: User,
    mentor: Mentor,
    job: CronJob,
) -> World:
    return World(hlf=hlf, oslo=oslo, bergen=bergen, course=course, mentor=mentor, job=job, role=kari.roles.get())


@pytest.fixture
def at_the_desk(olav: User) -> Client:
    client = Client(headers={"Accept-Language": "en"}, raise_request_exception=False)
    client.force_login(olav)
    return client


@pytest.fixture
def by_the_api(olav: User) -> APIClient:
    client = APIClient(headers={"Accept-Language": "en"}, raise_request_exception=False)
    client.force_authenticate(olav)
    return client


def answer_beside(do: Callable[[], object], post: Callable[[], object]) -> Any:
    """Return what is answered to the post while somebody else is just doing that."""
    _done, answer = side_by_side(do, post)
    return answer


def remove(row: Any) -> Callable[[], object]:
    return lambda: type(row).objects.get(pk=row.pk).delete()


# What one does first, and what another posts meanwhile: the address and the form.
AT_THE_DESK: dict[str, Callable[[World], tuple[Callable[[], object], str, dict[str, object]]]] = {
    "a schedule that is removed is paused": lambda w: (
        remove(w.job), f"/admin/cronjobs/cronjob/{w.job.pk}/pause/", {"pause_note": "summer"},
    ),
    "a mentor who is removed is paused": lambda w: (
        remove(w.mentor), f"/admin/mentors/mentor/{w.mentor.pk}/pause/", {"reason": "ill"},
    ),
    "something is recorded of a type that is removed": lambda w: (
        remove(w.course),
        "/admin/certifications/certification/add/",
        {"mentor": w.mentor.pk, "type": w.course.pk, **DAYS},
    ),
    "a type is changed that is removed": lambda w: (
        remove(w.course),
        f"/admin/certifications/certificationtype/{w.course.pk}/change/",
        {"organisation": w.hlf.pk, "code": w.course.code, "name": "Other", "grace_days": 0},
    ),
    "somebody is enrolled in a chapter that is removed": lambda w: (
        remove(w.bergen), "/admin/mentors/mentor/add/", {"chapter": w.bergen.pk, "ref": "N1", "name": "Nils"},
    ),
    "the same chapter is made": lambda w: (
        lambda: Chapter.objects.create(organisation=w.hlf, slug="new", name="New"),
        "/admin/mentors/chapter/add/",
        {"organisation": w.hlf.pk, "slug": "new", "name": "Newer"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AT_THE_DESK)
def test_the_desk_says_so(world: World, at_the_desk: Client, case: str) -> None:
    do, address, form = AT_THE_DESK[case](world)

    answer = answer_beside(do, lambda: at_the_desk.post(address, form, follow=True))

    assert answer.status_code == 200
    assert MEANWHILE in answer.content.decode()


def test_a_role_that_is_removed_does_not_come_back_by_a_form_about_it(world: World, at_the_desk: Client) -> None:
    address = f"/admin/mentors/coordinatorrole/{world.role.pk}/change/"
    form = {"duty": "coordinator", "chapter": world.bergen.pk}

    answer = answer_beside(remove(world.role), lambda: at_the_desk.post(address, form, follow=True))

    assert not CoordinatorRole.objects.filter(user=world.role.user).exists()
    assert MEANWHILE in answer.content.decode()


BY_THE_API: dict[str, Callable[[World], tuple[Callable[[], object], str, dict[str, object], tuple[int, str]]]] = {
    "a mentor who is removed is paused": lambda w: (
        remove(w.mentor), f"/api/v1/mentors/{w.mentor.pk}/pause", {"reason": "ill"}, (404, "not_found"),
    ),
    "something is recorded of a mentor who is removed": lambda w: (
        remove(w.mentor),
        "/api/v1/certifications",
        {"mentor": w.mentor.pk, "type": w.course.code, **DAYS},
        (404, "not_found"),
    ),
    "something is recorded of a type that is removed": lambda w: (
        remove(w.course),
        "/api/v1/certifications",
        {"mentor": w.mentor.pk, "type": w.course.code, **DAYS},
        (409, "changed_meanwhile"),
    ),
    "somebody is enrolled in a chapter that is removed": lambda w: (
        remove(w.bergen),
        "/api/v1/mentors",
        {"chapter": w.bergen.pk, "ref": "N1", "name": "Nils"},
        (409, "changed_meanwhile"),
    ),
    "a schedule that is removed is executed": lambda w: (
        remove(w.job), f"/api/v1/certification-cron/{w.job.pk}/execute", {}, (409, "changed_meanwhile"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BY_THE_API)
def test_the_api_says_so(world: World, by_the_api: APIClient, case: str) -> None:
    do, address, body, expected = BY_THE_API[case](world)

    answer = answer_beside(do, lambda: by_the_api.post(address, body, format="json"))

    said = answer.json()
    assert (answer.status_code, said["errors"][0]["code"]) == expected


def test_a_check_that_fails_is_a_fault_of_ours_and_no_race(
    world: World, at_the_desk: Client, by_the_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else is blamed for it: it is an error, of which Sentry hears."""

    def break_a_check(*_args: object, **_kwargs: object) -> None:
        Mentor.objects.filter(pk=world.mentor.pk).update(status="paused", pause_cause=None)

    for place in ("mentors.admin.mentor_buttons.pause_mentor", "mentors.api.mentors.pause_mentor"):
        monkeypatch.setattr(place, break_a_check)

    desk = at_the_desk.post(f"/admin/mentors/mentor/{world.mentor.pk}/pause/", {"reason": "ill"})
    api = by_the_api.post(f"/api/v1/mentors/{world.mentor.pk}/pause", {"reason": "ill"}, format="json")

    assert (desk.status_code, api.status_code) == (500, 500)
