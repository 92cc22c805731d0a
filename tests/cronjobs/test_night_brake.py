"""The brake: a night that would pause too many waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.urls import reverse
from time_machine import Traveller

from certifications.models import CertificationType
from certifications.recording import renew_certification
from cronjobs import nightly
from cronjobs.models import CronJob, Run
from mentors.models import Mentor, Organisation, User
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Api, Certify, Desk, Enrol
from tests.cronjobs.conftest import Expired, claim, claim_slot
from tests.support.nights import outcomes, plan_night, run_night, work_night
from tests.support.queues import do, received


@pytest.mark.parametrize(
    ("lapsed", "others", "held"),
    [(3, 0, False), (4, 0, True), (4, 8, True), (4, 9, False), (5, 10, True), (5, 11, False)],
)
def test_a_run_is_held_when_it_would_pause_more_than_the_limit(
    at_most_three: Organisation, enrol: Enrol, expired: Expired, lapsed: int, others: int, held: bool
) -> None:
    expired(lapsed)
    for _ in range(others):
        enrol()

    run = plan_night(at_most_three, TODAY)

    assert (run.status == Run.Status.HELD) is held


def test_a_held_run_pauses_nobody_goes_on_reminding_and_stays_open(
    at_most_three: Organisation, enrol: Enrol, expired: Expired, certify: Certify, secrecy: CertificationType
) -> None:
    mentors = expired(4)
    certify(mentors[0], type=secrecy, expires_in=7)
    certify(enrol(), expires_in=7)

    run = run_night(at_most_three, TODAY)

    assert run.status == Run.Status.HELD
    assert not Mentor.objects.filter(status="paused").exists()
    assert run.items.filter(action="remind", status="done").count() == 2
    assert run.items.filter(action="pause", status="pending").count() == 4


def test_operations_and_organisation_wide_coordinators_are_told_of_a_held_run(
    at_most_three: Organisation, kari: User, olav: User, expired: Expired
) -> None:
    expired(4)

    plan_night(at_most_three, TODAY)

    warnings = Notification.objects.filter(kind="held")
    told = {row.recipient_user.username if row.recipient_user else "operations": row.context for row in warnings}
    facts = {"would_pause": 4, "active": 4, "limit": 3}
    assert told == {"olav": facts, "operations": facts}
    assert set(warnings.values_list("channel", flat=True)) == {"email", "inbox", "operations"}


def test_a_run_that_a_person_has_approved_beforehand_is_not_held(at_most_three: Organisation, expired: Expired) -> None:
    expired(4)

    run = run_night(at_most_three, TODAY, approved=True)

    assert run.status == Run.Status.SUCCEEDED
    assert Mentor.objects.filter(status="paused").count() == 4


def test_a_person_approves_a_held_run_and_it_pauses(at_most_three: Organisation, expired: Expired) -> None:
    expired(4)
    held = run_night(at_most_three, TODAY)

    run = work_night(nightly.approve_run(held.pk, by="olav"))

    assert run.status == Run.Status.SUCCEEDED
    assert run.counts["pause"] == {"planned": 4, "done": 4, "skipped": 0, "failed": 0}


def test_a_person_rejects_a_held_run_and_it_closes_with_the_reason(
    at_most_three: Organisation, expired: Expired
) -> None:
    expired(4)
    run = run_night(at_most_three, TODAY)

    nightly.reject_run(run.pk, by="olav", reason="The import was wrong.", now=NOW)

    run.refresh_from_db()
    assert (run.status, run.error.in_english()) == ("partial", "Rejected by olav: The import was wrong.")
    assert run.counts["pause"] == {"planned": 4, "done": 0, "skipped": 4, "failed": 0}
    assert {outcome[2:] for outcome in outcomes(run)} == {("skipped", run.error.as_text())}
    assert not Mentor.objects.filter(status="paused").exists()


def approve(run: Run) -> None:
    nightly.approve_run(run.pk, by="olav")


def reject(run: Run) -> None:
    nightly.reject_run(run.pk, by="olav", reason="x", now=NOW)


@pytest.mark.parametrize("decide", [approve, reject])
def test_a_run_that_is_not_held_cannot_be_decided_on(hlf: Organisation, decide: Callable[[Run], None]) -> None:
    run = run_night(hlf, TODAY)

    with pytest.raises(nightly.RunNotHeld):
        decide(run)


def test_the_next_night_takes_over_from_a_held_run(at_most_three: Organisation, job: CronJob, expired: Expired) -> None:
    expired(4)
    held = run_night(at_most_three, TODAY)

    successor = claim_slot(job)
    run = nightly.plan_run(successor.pk, now=NOW)

    held.refresh_from_db()
    assert held.status == Run.Status.PARTIAL
    assert str(successor.pk) in held.error.in_english()
    assert (run.status, run.counts["pause"]["planned"]) == ("held", 4)


def test_a_second_press_does_not_push_a_held_run_aside(at_most_three: Organisation, expired: Expired) -> None:
    expired(4)
    held = run_night(at_most_three, TODAY)

    with pytest.raises(nightly.RunAlreadyOpen, match="then approve or reject it"):
        claim(at_most_three)

    held.refresh_from_db()
    assert held.status == Run.Status.HELD


def test_an_approved_run_takes_over_from_a_held_one(at_most_three: Organisation, expired: Expired) -> None:
    expired(4)
    held = run_night(at_most_three, TODAY)

    run = run_night(at_most_three, TODAY, approved=True)

    held.refresh_from_db()
    assert (held.status, run.status) == ("partial", "succeeded")
    assert Mentor.objects.filter(status="paused").count() == 4


@pytest.mark.usefixtures("empty_queues")
@pytest.mark.parametrize("at", ["API", "desk"])
def test_a_held_run_that_is_approved_the_next_morning_spares_who_has_renewed_since(
    at_most_three: Organisation, expired: Expired, olav: User, api: Api, desk: Desk, clock: Traveller, at: str
) -> None:
    renewed = expired(4)[0]
    held = plan_night(at_most_three, TODAY, now=NOW)
    morning = NOW + timedelta(hours=22)
    clock.move_to(morning)
    renew_certification(renewed.certifications.get(), issued_on=morning.date(), now=morning)

    if at == "API":
        assert api(olav).post(f"/api/v1/runs/{held.pk}/approve").status_code == 200
    else:
        desk(olav).post(reverse("admin:cronjobs_run_approve", args=[held.pk]))
    do(received("night"))

    held.refresh_from_db()
    assert (held.status, held.approved_by) == (Run.Status.SUCCEEDED, "olav")
    assert held.counts["pause"] == {"planned": 4, "done": 3, "skipped": 1, "failed": 0}
    assert list(Mentor.objects.active()) == [renewed]
    assert not Notification.objects.filter(about=renewed).exists()
