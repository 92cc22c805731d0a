"""A mentor's timeline: what a night did and did not do, and who was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from cronjobs.models import Run, RunItem
from mentors.models import Mentor, Organisation, StatusChange, User
from notifications.answers import record_answer
from notifications.models import Answer, Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.api import by_token
from tests.support.nights import run_night
from tests.support.queries import count_queries

pytestmark = pytest.mark.django_db


def url(mentor: Mentor) -> str:
    return f"/api/v1/mentors/{mentor.pk}/timeline"


def entries(client: APIClient, mentor: Mentor) -> list[dict[str, Any]]:
    """Return the entries of the timeline, each with what it fills of its fields."""
    rows = client.get(url(mentor)).json()["results"]
    return [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]


def test_a_pause_is_told_with_its_item_and_its_messages(
    client: APIClient, hlf: Organisation, mentor: Mentor, enrol: Enrol, certify: Certify
) -> None:
    certify(mentor, expires_in=-1, number="A1")
    certify(enrol(), expires_in=-1)

    run = run_night(hlf, TODAY, now=NOW)

    found = {row["kind"] + row.get("recipient", ""): row for row in entries(client, mentor)}
    at = {"at": "2026-11-21T11:00:00Z", "run": str(run.pk)}
    assert found["status_change"] == at | {
        "kind": "status_change",
        "from_status": "active",
        "to_status": "paused",
        "cause": "certification_expired",
        "reason": "Lapsed: likepersonkurs",
    }
    assert found["item"] | {"outcome": ""} == at | {
        "kind": "item",
        "action": "pause",
        "type": "likepersonkurs",
        "rule": "rule 4",
        "status": "done",
        "outcome": "",
    }
    assert found["messagecoordinator"] == at | {
        "kind": "message",
        "message": "pause",
        "channel": "inbox",
        "recipient": "coordinator",
        "status": "sent",
        "sent_at": at["at"],
    }
    assert found["messagementor"] == at | {
        "kind": "message",
        "message": "night",
        "channel": "email",
        "recipient": "mentor",
        "status": "queued",
    }
    assert len(found) == len(entries(client, mentor))


def test_what_was_skipped_names_the_rule_that_left_it_undone(
    client: APIClient, hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    run_night(hlf, TODAY, now=NOW, in_between=lambda: certify(mentor, issued=0))

    [item] = entries(client, mentor)
    assert (item["status"], item["rule"]) == ("skipped", "rule 8")


@pytest.mark.parametrize(("name", "shown"), [(("", ""), "kari"), (("Kari", "Lie"), "Kari Lie")])
def test_a_person_who_changed_the_status_is_named(
    client: APIClient, kari: User, mentor: Mentor, name: tuple[str, str], shown: str
) -> None:
    kari.first_name, kari.last_name = name
    kari.save()
    client.post(f"/api/v1/mentors/{mentor.pk}/pause", {"reason": "On leave."})

    [change] = [row for row in entries(client, mentor) if row["kind"] == "status_change"]

    assert (change["actor"], change["reason"]) == (shown, "On leave.")


def test_an_answer_is_told_with_the_message_that_passed_it_on(
    client: APIClient, hlf: Organisation, mentor: Mentor, enrol: Enrol, certify: Certify, now: datetime
) -> None:
    for reminded in (mentor, enrol()):
        certify(reminded, expires_in=7)
    run_night(hlf, TODAY, now=NOW)
    for reminder in Notification.objects.filter(recipient_mentor__isnull=False):
        record_answer(reminder, Answer.Choice.RENEWING, now=now + timedelta(hours=1))

    newest = [row for row in entries(client, mentor) if row["at"] == "2026-11-21T12:00:00Z"]

    assert newest == [
        {"kind": "answer", "answer": "renewing", "at": "2026-11-21T12:00:00Z"},
        {
            "kind": "message",
            "message": "answer",
            "channel": "inbox",
            "recipient": "coordinator",
            "status": "sent",
            "at": "2026-11-21T12:00:00Z",
            "sent_at": "2026-11-21T12:00:00Z",
        },
    ]


def test_the_newest_comes_first_and_pages_do_not_overlap(client: APIClient, mentor: Mentor, now: datetime) -> None:
    for minutes in (2, 0, 1):
        StatusChange.objects.create(
            mentor=mentor, from_status="active", to_status="paused", at=now + timedelta(minutes=minutes)
        )

    pages = [client.get(f"{url(mentor)}?page_size=2&page={page}").json() for page in (1, 2)]

    assert [row["at"][14:16] for page in pages for row in page["results"]] == ["02", "01", "00"]
    assert pages[0]["count"] == 3
    assert client.get(f"{url(mentor)}?ordering=at").status_code == 400


def test_forty_entries_cost_as_many_queries_as_ten(
    kari: User, hlf: Organisation, mentor: Mentor, now: datetime
) -> None:
    client = by_token(kari)
    run = Run.objects.create(
        organisation=hlf, business_date=TODAY, actions=["remind"], trigger="manual", created_at=now, status="succeeded"
    )

    def add(numbers: range) -> None:
        for number in numbers:
            RunItem.objects.create(run=run, action="remind", dedupe_key=str(number), mentor=mentor, at=now)

    def ask() -> Any:
        return client.get(f"{url(mentor)}?page_size=200")

    add(range(10))
    ten = count_queries(ask)
    add(range(10, 40))
    forty = count_queries(ask)

    assert forty == ten <= 8
    assert len(ask().json()["results"]) == 40
