"""`manage.py nightly`, in this process: what it prints, what it returns, what it refuses."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from certifications.models import CertificationType
from cronjobs import nightly
from cronjobs.models import Run, RunItem
from mentors.models import Mentor, Organisation, User
from tests.conftest import Certify, Enrol

pytestmark = pytest.mark.django_db


@pytest.fixture
def expired(enrol: Enrol, certify: Certify) -> Mentor:
    mentor = enrol(ref="M-expired")
    certify(mentor, number="E1", expires_in=-1)
    return mentor


@pytest.fixture
def expiring(enrol: Enrol, certify: Certify) -> Mentor:
    mentor = enrol(ref="M-expiring")
    certify(mentor, number="S1", expires_in=7)
    return mentor


def run_nightly(*arguments: str) -> str:
    out = StringIO()
    call_command("nightly", "--organisation", "hlf", "--inline", *arguments, stdout=out)
    return out.getvalue()


def run_as_json(*arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run_nightly("--format", "json", *arguments))
    return document


def test_it_prints_one_json_document_with_the_run_and_every_item(
    hlf: Organisation, expired: Mentor, expiring: Mentor, today: date
) -> None:
    document = run_as_json()

    pause, remind = document["items"]
    assert document["run"]["status"] == "succeeded"
    assert document["run"]["counts"]["pause"] == {"planned": 1, "done": 1, "skipped": 0, "failed": 0}
    assert (pause["action"], pause["mentor_ref"], pause["type"], pause["status"]) == (
        "pause", "M-expired", "likepersonkurs", "done",
    )  # fmt: skip
    assert (remind["number"], remind["expires_on"], remind["stage"]) == (
        "S1", str(today + timedelta(days=7)), 7,
    )  # fmt: skip


def test_it_names_the_lapsed_types_sorted_and_joined_by_commas(
    hlf: Organisation, expired: Mentor, certify: Certify, secrecy: CertificationType
) -> None:
    certify(expired, type=secrecy, expires_in=-30)

    (pause,) = run_as_json("--actions", "pause")["items"]

    assert pause["type"] == "likepersonkurs,taushetserklaering"


def test_a_second_run_has_nothing_to_do(hlf: Organisation, expired: Mentor, expiring: Mentor) -> None:
    run_as_json()

    again = run_as_json()

    assert again["items"] == []
    assert again["run"]["already_handled"] == 1  # the reminder; the paused mentor is not due any more


def test_it_prints_a_table_for_people(hlf: Organisation, expired: Mentor, expiring: Mentor) -> None:
    text = run_nightly()

    assert "M-expired" in text
    assert "paused" in text
    assert "pause: 1 planned, 1 done, 0 skipped, 0 failed" in text


@pytest.mark.django_db(transaction=True)
def test_it_delivers_by_itself_when_inline(hlf: Organisation, expired: Mentor, kari: User) -> None:
    Organisation.objects.update(sending_from="00:00", sending_until="00:00")

    run_nightly()

    assert sorted(address for message in mail.outbox for address in message.to) == ["kari@example.org", expired.email]


def test_a_dry_run_shows_everything_with_its_reason_and_writes_nothing(
    hlf: Organisation, expired: Mentor, expiring: Mentor
) -> None:
    document = run_as_json("--dry-run")

    assert [item["action"] for item in document["items"]] == ["pause", "remind"]
    assert all("rule" in item["outcome"] for item in document["items"])
    assert document["run"]["id"] is None
    assert not Run.objects.exists()
    expired.refresh_from_db()
    assert expired.status == Mentor.Status.ACTIVE


def test_a_dry_run_looks_ahead(hlf: Organisation, expiring: Mentor, today: date) -> None:
    document = run_as_json("--dry-run", "--date", str(today + timedelta(days=8)))

    assert [(item["action"], item["mentor_ref"]) for item in document["items"]] == [("pause", "M-expiring")]


def test_a_coming_day_needs_a_dry_run(hlf: Organisation, today: date) -> None:
    with pytest.raises(CommandError, match="has not come yet"):
        run_nightly("--date", str(today + timedelta(days=1)))


def test_it_does_only_the_actions_asked_for(hlf: Organisation, expired: Mentor, expiring: Mentor) -> None:
    document = run_as_json("--actions", "remind")

    assert [item["action"] for item in document["items"]] == ["remind"]
    assert list(document["run"]["counts"]) == ["remind"]


def test_a_held_run_ends_with_an_error_and_approval_lets_it_pass(hlf: Organisation, expired: Mentor) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    with pytest.raises(CommandError, match="held: it would pause 1 mentors"):
        run_nightly()
    expired.refresh_from_db()
    assert expired.status == Mentor.Status.ACTIVE

    run_nightly("--approve")

    expired.refresh_from_db()
    assert expired.status == Mentor.Status.PAUSED
    assert list(Run.objects.order_by("created_at").values_list("status", flat=True)) == ["partial", "succeeded"]


def test_it_is_refused_while_a_held_run_waits(hlf: Organisation, expired: Mentor) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    with pytest.raises(CommandError):
        run_nightly()
    held = Run.objects.get()

    with pytest.raises(CommandError, match=str(held.pk)):
        run_nightly()


def test_inline_finishes_a_run_that_was_planned_and_never_handed_out(
    hlf: Organisation, expired: Mentor, now: datetime
) -> None:
    lost = nightly.claim_run(
        organisation=hlf, business_date=hlf.local_date(now), trigger=Run.Trigger.SCHEDULE, scheduled_for=now, now=now
    )
    nightly.plan_run(lost.pk, now=now)

    document = run_as_json()

    assert document["run"]["id"] == str(lost.pk)
    assert document["run"]["status"] == "succeeded"
    assert RunItem.objects.get().status == RunItem.Status.DONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--date", "21.11.2026"], "is not a date; write it as 2026-11-21"),
        (["--date", "9999-12-31", "--dry-run"], "choose a day from 1900-01-01 to 2999-12-31"),
        (["--actions", "pause,fire"], "write some of pause,resume,remind"),
    ],
)
def test_wrong_usage_is_named(hlf: Organisation, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run_nightly(*arguments)


def test_an_unknown_organisation_is_named_with_those_there_are(hlf: Organisation) -> None:
    with pytest.raises(CommandError, match=r"no organisation “nhf”\. There are: hlf"):
        call_command("nightly", organisation="nhf")
