"""Trying again what failed of a closed run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from celery import current_app

from certifications.recording import renew_certification
from cronjobs import nightly, starting
from cronjobs.models import Run
from cronjobs.retry import NothingToRetry, retry_failed
from cronjobs.sweep import sweep
from cronjobs.undo import RunStillOpen, undo_pauses
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.cronjobs.conftest import claim
from tests.support.at_once import run_at_once
from tests.support.nights import outcomes, plan_night, run_night, work_night

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=5)


@pytest.fixture
def good(enrol: Enrol, certify: Certify) -> Mentor:
    mentor = enrol(ref="good")
    certify(mentor, expires_in=-1)
    return mentor


@pytest.fixture
def bad(enrol: Enrol, certify: Certify) -> Mentor:
    """A mentor whose item fails that night."""
    mentor = enrol(ref="bad")
    certify(mentor, expires_in=-1)
    return mentor


@pytest.fixture
def partial(hlf: Organisation, good: Mentor, bad: Mentor) -> Run:
    """A closed run in which one of two items failed."""
    run = plan_night(hlf, TODAY)
    fail_for_good(run, bad)
    return work_night(run)


def fail_for_good(run: Run, mentor: Mentor) -> None:
    run.items.filter(mentor=mentor).update(status="failed", attempts=3, error=verbatim("IntegrityError: bad row"))


def status_of(run: Run) -> tuple[str, str]:
    run.refresh_from_db()
    return run.status, run.error.in_english()


def test_what_failed_is_pending_again_and_the_run_at_work(partial: Run, bad: Mentor) -> None:
    run = retry_failed(partial.pk, now=LATER)

    item = run.items.get(mentor=bad)
    assert (item.status, item.attempts, item.at, item.error.in_english()) == (
        "pending",
        0,
        LATER,
        "IntegrityError: bad row",
    )
    assert (run.status, run.error.in_english(), run.started_at, run.finished_at) == ("running", "", LATER, None)
    assert outcomes(run)[1] == ("pause", "good", "done", "paused")


def test_a_retry_that_succeeds_closes_the_run_green_with_books_that_balance(partial: Run, bad: Mentor) -> None:
    assert status_of(partial) == ("partial", "1 item failed; the next run tries it again.")

    run = work_night(retry_failed(partial.pk, now=LATER), now=LATER)

    assert status_of(run) == ("succeeded", "")
    assert run.counts["pause"] == {"planned": 2, "done": 2, "skipped": 0, "failed": 0}
    assert run.items.get(mentor=bad).error.in_english() == ""
    assert run.finished_at == LATER
    assert StatusChange.objects.filter(run_id=run.pk).count() == 2


def test_a_retry_that_fails_leaves_the_run_as_it_was(partial: Run, bad: Mentor) -> None:
    run = retry_failed(partial.pk, now=LATER)
    fail_for_good(run, bad)

    nightly.close_run(run.pk, now=LATER)

    assert status_of(run) == ("partial", "1 item failed; the next run tries it again.")
    assert run.counts["pause"] == {"planned": 2, "done": 1, "skipped": 0, "failed": 1}


def test_a_retry_asks_the_rules_again(partial: Run, bad: Mentor) -> None:
    renew_certification(bad.certifications.get(), issued_on=TODAY, expires_on=TODAY + timedelta(days=365), now=NOW)

    run = work_night(retry_failed(partial.pk, now=LATER), now=LATER)

    reason = "renewed"
    assert outcomes(run)[0] == ("pause", "bad", "skipped", reason)
    assert status_of(run) == ("succeeded", "")


def test_the_coordinator_hears_of_everybody_once_and_gets_one_digest(partial: Run, kari: User, olav: User) -> None:
    run = work_night(retry_failed(partial.pk, now=LATER), now=LATER)
    inbox = Notification.objects.filter(run_id=run.pk, channel="inbox", kind="pause")

    assert list(inbox.values_list("recipient_user", "about__ref")) == [(kari.pk, "bad")]
    assert Notification.objects.filter(run_id=run.pk, kind="digest").count() == 1
    assert Notification.objects.filter(run_id=run.pk, kind="failed", channel="operations").count() == 1


def test_every_pause_is_in_one_handover_however_often_a_run_is_retried(
    hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
) -> None:
    mentors = [enrol() for _ in range(3)]
    for mentor in mentors:
        certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)
    for mentor in mentors[1:]:
        fail_for_good(run, mentor)
    work_night(run)
    retry_failed(run.pk, now=LATER)
    fail_for_good(run, mentors[2])
    work_night(run, now=LATER)

    work_night(retry_failed(run.pk, now=LATER), now=LATER)

    hints = Notification.objects.filter(kind="handover", channel="inbox").order_by("pk")
    assert [hint.context["paused"] for hint in hints] == [[mentor.pk] for mentor in mentors]


def test_the_reason_of_a_rejection_stays(hlf: Organisation, bad: Mentor, enrol: Enrol, certify: Certify) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    reminded = enrol()
    certify(reminded, expires_in=7)
    run = plan_night(Organisation.objects.get(), TODAY)
    fail_for_good(run, reminded)
    nightly.reject_run(run.pk, by="olav", reason="wrong dates", now=NOW)

    work_night(retry_failed(run.pk, now=LATER), now=LATER)

    assert status_of(run) == ("partial", "Rejected by olav: wrong dates")


def test_what_another_run_has_done_stays_failed(hlf: Organisation, good: Mentor, bad: Mentor) -> None:
    first = plan_night(hlf, TODAY)
    fail_for_good(first, good)
    fail_for_good(first, bad)
    work_night(first)
    second = plan_night(hlf, TODAY)
    fail_for_good(second, bad)
    work_night(second)

    run = work_night(retry_failed(first.pk, now=LATER), now=LATER)

    assert [(ref, status) for _action, ref, status, _outcome in outcomes(run)] == [("bad", "done"), ("good", "failed")]
    assert status_of(run) == ("partial", "1 item failed; the next run tries it again.")
    assert StatusChange.objects.count() == 2


def test_what_another_run_has_taken_over_entirely_is_not_retried(partial: Run, hlf: Organisation) -> None:
    run_night(hlf, TODAY)
    before = status_of(partial)

    with pytest.raises(NothingToRetry, match="has not taken over"):
        retry_failed(partial.pk, now=LATER)

    assert status_of(partial) == before


def test_a_run_of_which_nothing_failed_is_not_retried(hlf: Organisation, good: Mentor) -> None:
    run = run_night(hlf, TODAY)

    with pytest.raises(NothingToRetry):
        retry_failed(run.pk, now=LATER)

    assert status_of(run) == ("succeeded", "")


def test_a_run_whose_day_is_over_is_not_retried_by_the_rules_of_that_day(partial: Run) -> None:
    with pytest.raises(NothingToRetry, match="start a new run"):
        retry_failed(partial.pk, now=NOW + timedelta(days=1))


def test_a_run_is_not_retried_beside_another_that_is_open(partial: Run, hlf: Organisation) -> None:
    open_run = plan_night(hlf, TODAY)

    with pytest.raises(nightly.RunAlreadyOpen) as refused:
        retry_failed(partial.pk, now=LATER)

    assert refused.value.run == open_run
    assert status_of(partial)[0] == "partial"


def test_another_run_waits_for_a_retry(partial: Run, hlf: Organisation) -> None:
    retry_failed(partial.pk, now=LATER)

    with pytest.raises(nightly.RunAlreadyOpen):
        plan_night(hlf, TODAY)


def test_a_run_that_is_at_work_is_not_retried(partial: Run) -> None:
    retry_failed(partial.pk, now=LATER)

    with pytest.raises(nightly.RunAlreadyOpen):
        retry_failed(partial.pk, now=LATER)


@pytest.mark.django_db(transaction=True)
def test_of_six_who_retry_at_once_five_are_refused(partial: Run) -> None:
    results = run_at_once(*[lambda: retry_failed(partial.pk, now=LATER)] * 6)

    assert sorted(type(result).__name__ for result in results) == ["Run"] + ["RunAlreadyOpen"] * 5


@pytest.mark.django_db(transaction=True)
def test_of_a_retry_and_a_claim_at_once_one_is_refused(partial: Run, hlf: Organisation) -> None:
    results = run_at_once(lambda: retry_failed(partial.pk, now=LATER), lambda: claim(hlf, now=LATER))

    assert sorted(type(result).__name__ for result in results) == ["Run", "RunAlreadyOpen"]
    assert Run.objects.open().count() == 1


def test_a_retry_sends_its_batches_to_the_workers(partial: Run, bad: Mentor) -> None:
    with current_app.connection_for_read() as broker, broker.SimpleQueue("night") as waiting:
        waiting.clear()

        starting.retry(partial.pk, now=LATER)

        message = waiting.get(timeout=60)
        message.ack()
    assert message.payload[0] == [str(partial.pk), [bad.pk], False]


def test_a_retry_hours_later_is_not_late(partial: Run) -> None:
    retry_failed(partial.pk, now=LATER)

    sweep(now=LATER + timedelta(minutes=1))

    assert not Notification.objects.filter(kind="late").exists()


def test_a_run_at_work_cannot_be_undone(partial: Run, olav: User, good: Mentor) -> None:
    retry_failed(partial.pk, now=LATER)

    with pytest.raises(RunStillOpen, match="when it is closed"):
        undo_pauses(partial.pk, reason="Wrong", actor=olav, now=LATER)

    good.refresh_from_db()
    assert good.status == Mentor.Status.PAUSED


def test_a_held_run_is_rejected_and_not_undone(hlf: Organisation, bad: Mentor, olav: User) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    held = plan_night(Organisation.objects.get(), TODAY)

    with pytest.raises(RunStillOpen, match="reject it"):
        undo_pauses(held.pk, reason="Wrong", actor=olav, now=NOW)
