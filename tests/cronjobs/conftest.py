"""What the tests of the nights share: those who are due, one's own claims and changes, alarms, and empty queues."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from cronjobs import nightly
from cronjobs.models import CronJob, Run
from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from mentors.status import change_status
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.processes import empty_broker
from tests.support.receiver import Receiver, http_receiver

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo on the 21st

Expired = Callable[[int], list[Mentor]]
Message = Callable[..., Notification]


@pytest.fixture
def expired(enrol: Enrol, certify: Certify) -> Expired:
    """Enrol so many mentors whose certification expired yesterday: `expired(3)`."""

    def enrol_many(count: int) -> list[Mentor]:
        mentors = [enrol() for _ in range(count)]
        for mentor in mentors:
            certify(mentor, expires_in=-1)
        return mentors

    return enrol_many


@pytest.fixture
def at_most_three(hlf: Organisation) -> Organisation:
    """HLF, whose nights may pause three mentors, or a third of them where that is more."""
    hlf.brake_minimum, hlf.brake_percent = 3, 33
    hlf.save()
    return hlf


@pytest.fixture
def empty_queues() -> Iterator[None]:
    empty_broker()
    yield
    empty_broker()


@pytest.fixture
def alarms(settings: Settings) -> Iterator[Receiver]:
    """Whom operations' alarms go to."""
    with http_receiver() as receiver:
        settings.ALERT_URLS = [f"json://127.0.0.1:{receiver.port}/"]
        yield receiver


@pytest.fixture
def message(kari: User, hlf: Organisation, now: datetime) -> Message:
    def write(**fields: Any) -> Notification:
        values = {
            "dedupe_key": str(uuid4()), "organisation": hlf, "kind": "digest", "channel": "email",
            "recipient_user": kari, "language": "nb", "next_attempt_at": now, "created_at": now,
        } | fields  # fmt: skip
        return Notification.objects.create(**values)

    return write


def subjects(alarms: Receiver) -> list[str]:
    return [json.loads(request.body)["title"].removeprefix("[Nattevakt] ") for request in alarms.received]


def claim(organisation: Organisation, **options: Any) -> Run:
    defaults: dict[str, Any] = {"trigger": Run.Trigger.MANUAL, "business_date": TODAY, "now": NOW}
    return nightly.claim_run(organisation=organisation, **defaults | options)


def claim_slot(job: CronJob, slot: datetime = SLOT) -> Run:
    return claim(job.organisation, cron_job=job, scheduled_for=slot, trigger=Run.Trigger.SCHEDULE)


def change_by_hand(mentor: Mentor, from_status: str, to_status: str, cause: str | None = None) -> None:
    change_status(
        {mentor.pk: verbatim("by hand")},
        from_status=Mentor.Status(from_status),
        to_status=Mentor.Status(to_status),
        cause=Mentor.PauseCause(cause) if cause else None,
        now=NOW,
    )


def break_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("Liv Moe")

    monkeypatch.setattr(nightly, "plan_items", broken)


def run_of(job: CronJob, slot: datetime = SLOT, **fields: Any) -> Run:
    """Write a run of the slot, which was closed green in half an hour unless `fields` say something else."""
    closed_at = fields.get("finished_at", slot + timedelta(minutes=30))
    closed = {"status": Run.Status.SUCCEEDED, "finished_at": closed_at, "concluded_at": closed_at}
    values = closed | {"created_at": slot} | fields
    return Run.objects.create(
        id=Run.id_of_slot(job.pk, slot), organisation=job.organisation, cron_job=job, scheduled_for=slot,
        business_date=job.organisation.local_date(slot), trigger=Run.Trigger.SCHEDULE, actions=["pause"], **values,
    )  # fmt: skip
