"""Whoever leads an organisation loses the role while something is waited for: none of what they asked for is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from certifications.extensions import Until, extend_certifications
from certifications.models import Certification, CertificationType, Extension
from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import change_cron_job
from mentors.models import Chapter, CoordinatorRole, Invitation, Mentor, Organisation, User
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.at_once import side_by_side
from tests.support.desk import page
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db(transaction=True)

Lock = Callable[[], object]
Act = tuple[Lock, str, dict[str, Any]]  # what is waited for, the address, what is sent


@dataclass
class Led:
    """What Olav leads."""

    hlf: Organisation
    job: CronJob
    mentor: Mentor
    held: Certification
    other: CoordinatorRole
    leader: User
    enrol: Enrol
    certify: Certify


@pytest.fixture
def led(hlf: Organisation, olav: User, kari: User, job: CronJob, mentor: Mentor, enrol: Enrol, certify: Certify) -> Led:
    held = certify(mentor, expires_in=10)
    return Led(
        hlf=hlf, job=job, mentor=mentor, held=held, other=kari.roles.get(), leader=olav, enrol=enrol, certify=certify
    )


def row(obj: Any) -> Lock:
    return lambda: type(obj).objects.select_for_update().get(pk=obj.pk)


def mentors() -> list[Mentor]:
    return list(Mentor.objects.select_for_update())


def held_run(led: Led) -> Run:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    led.hlf.refresh_from_db()
    led.certify(led.enrol(), expires_in=-1)
    return run_night(led.hlf, TODAY)


def closed_run(led: Led) -> Run:
    led.certify(led.enrol(), expires_in=-1)
    return run_night(led.hlf, TODAY)


def extension(led: Led) -> Extension:
    made, _left = extend_certifications([led.held.pk], until=Until(days=30), reason="x", by=led.leader, now=NOW)
    return made


def invitation(led: Led) -> Invitation:
    user = User.objects.create_user("nora", email="nora@example.org")
    return Invitation.objects.create(user=user, organisation=led.hlf, duty="coordinator", sent_at=NOW)


def on_ticked(obj: Any, action: str = "delete_selected") -> Act:
    where = f"/admin/{obj._meta.app_label}/{obj._meta.model_name}/"
    return row(obj), where, {"action": action, "_selected_action": [obj.pk], "post": "yes"}


def by_api(run: Run, action: str, **sent: Any) -> Act:
    return row(run), f"/api/v1/runs/{run.pk}/{action}", sent


def on(obj: Any, button: str, **sent: Any) -> Act:
    return row(obj), page(obj, button), sent or {"post": "yes"}


def switched_off(led: Led) -> CronJob:
    return change_cron_job(led.job, enabled=False, pause_note="x", now=NOW)


def drifted(led: Led) -> CronJob:
    entry: Any = led.job.periodic_task
    entry.enabled = False
    entry.save()
    return led.job


ACTS: dict[str, Callable[[Led], Act]] = {
    "switch a schedule off": lambda led: on(led.job, "pause", pause_note="x"),
    "switch a schedule on": lambda led: on(switched_off(led), "switch-on"),
    "remove a schedule": lambda led: on(led.job, "delete"),
    "remove ticked schedules": lambda led: on_ticked(led.job),
    "take over beat's": lambda led: on(drifted(led), "take-over"),
    "take over beat's of ticked schedules": lambda led: on_ticked(drifted(led), "take_over_beats"),
    "approve a run": lambda led: on(held_run(led), "approve"),
    "reject a run": lambda led: on(held_run(led), "reject", reason="x"),
    "undo a run": lambda led: (mentors, page(closed_run(led), "undo"), {"reason": "x"}),
    "undo an extension": lambda led: (mentors, page(extension(led), "undo"), {"reason": "x"}),
    "end ticked roles": lambda led: on_ticked(led.other),
    "withdraw ticked invitations": lambda led: on_ticked(invitation(led)),
    "api: approve a run": lambda led: by_api(held_run(led), "approve"),
    "api: reject a run": lambda led: by_api(held_run(led), "reject", reason="x"),
    "api: undo a run": lambda led: (mentors, f"/api/v1/runs/{closed_run(led).pk}/undo", {"reason": "x"}),
}  # fmt: skip


def client_of(user: User, act: str) -> Any:
    """Return a client that is in already: to log in would wait for the account, and not for what it is about."""
    if act.startswith("api"):
        app = APIClient(raise_request_exception=False)
        app.force_authenticate(user)
        return app
    browser = Client(raise_request_exception=False)
    browser.force_login(user)
    return browser


def send(client: Any, address: str, sent: dict[str, Any]) -> Any:
    return client.post(address, sent, format="json") if isinstance(client, APIClient) else client.post(address, sent)


def everything(led: Led) -> list[Any]:
    models = (Mentor, Certification, Extension, CronJob, CertificationType, Chapter, Run, Invitation, Organisation)
    rows: list[Any] = [one for model in models for one in model._default_manager.order_by("pk").values()]
    return [*rows, *CoordinatorRole.objects.exclude(user=led.leader).order_by("pk").values()]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("ends", [True, False])
def test_what_a_role_that_ends_asked_for_is_not_done(led: Led, act: str, ends: bool) -> None:
    lock, address, sent = ACTS[act](led)
    before = everything(led)
    client = client_of(led.leader, act)

    def first() -> None:
        lock()
        if ends:
            CoordinatorRole.objects.filter(user=led.leader).delete()

    side_by_side(first, lambda: send(client, address, sent))

    assert (everything(led) == before) == ends  # and without that it is done, or this would say nothing
