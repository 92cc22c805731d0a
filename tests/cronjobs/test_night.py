"""One night, step by step (design, section 5): claim, plan, work, brake, close; and the dry run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model
from pytest_django import Settings

from certifications.models import (
    CalendarFeed,
    Certification,
    CertificationType,
    Exemption,
    ExtendedCertification,
    Extension,
)
from cronjobs import nightly
from cronjobs.ledger import DueItem, show_due_items
from cronjobs.models import Action, CronJob, Forecast, Incident, Part, Run, RunItem, RunSummary, Seal, Silence
from cronjobs.schedule import schedule_nightly_run
from cronjobs.work import Batch, work_batch
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from mentors.status import change_status
from notifications.models import Answer, BadAddress, Notification, Preference
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.nights import noon, outcomes, plan_night, run_night, work_night

SLOT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return schedule_nightly_run(now=NOW, organisation=hlf)


@pytest.fixture
def expired(enrol: Enrol, certify: Certify) -> Callable[[int], list[Mentor]]:
    """Enrol so many mentors whose certification expired yesterday: `expired(3)`."""

    def enrol_many(count: int) -> list[Mentor]:
        mentors = [enrol() for _ in range(count)]
        for mentor in mentors:
            certify(mentor, expires_in=-1)
        return mentors

    return enrol_many


Expired = Callable[[int], list[Mentor]]


def claim(organisation: Organisation, **options: Any) -> Run:
    defaults: dict[str, Any] = {"trigger": Run.Trigger.MANUAL, "business_date": TODAY, "now": NOW}
    return nightly.claim_run(organisation=organisation, **defaults | options)


def claim_slot(job: CronJob, slot: datetime = SLOT) -> Run:
    return claim(job.organisation, cron_job=job, scheduled_for=slot, trigger=Run.Trigger.SCHEDULE)


def change_by_hand(mentor: Mentor, from_status: str, to_status: str, cause: str | None = None) -> None:
    change_status(
        {mentor.pk: "by hand"},
        from_status=Mentor.Status(from_status),
        to_status=Mentor.Status(to_status),
        cause=Mentor.PauseCause(cause) if cause else None,
        now=NOW,
    )


def keys(run: Run) -> list[str]:
    return list(run.items.order_by("dedupe_key").values_list("dedupe_key", flat=True))


def alter(table: str, change: str) -> None:
    """Change a table within the test's transaction; what is deferred must have been checked before."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} {change}")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


# Claim.


def test_a_claimed_run_is_planned_and_carries_what_it_was_asked_for(hlf: Organisation) -> None:
    run = claim(hlf, requested_by="kari", actions=[Action.PAUSE])

    run.refresh_from_db()
    assert (run.status, run.business_date, run.trigger) == ("planned", TODAY, "manual")
    assert (run.requested_by, run.actions, run.approved) == ("kari", ["pause"], False)


def test_a_second_claim_is_refused_with_the_open_run(hlf: Organisation) -> None:
    first = claim(hlf)

    with pytest.raises(nightly.RunAlreadyOpen) as refused:
        claim(hlf)

    assert refused.value.run == first
    assert str(first.pk) in str(refused.value)


def test_a_closed_run_is_in_nobodys_way(hlf: Organisation) -> None:
    run_night(hlf, TODAY)

    assert claim(hlf).status == Run.Status.PLANNED


def test_an_open_run_of_another_organisation_is_in_nobodys_way(hlf: Organisation) -> None:
    claim(Organisation.objects.create(slug="other", name="Other"))

    assert claim(hlf).status == Run.Status.PLANNED


def test_a_slot_is_claimed_once_even_when_its_run_is_closed(job: CronJob) -> None:
    first = claim_slot(job)
    nightly.plan_run(first.pk, now=NOW)
    nightly.close_run(first.pk, now=NOW)

    with pytest.raises(nightly.SlotTaken):
        claim_slot(job)

    assert Run.objects.count() == 1


def test_a_slot_finds_the_run_that_somebody_started_by_hand(job: CronJob) -> None:
    by_hand = claim(job.organisation)

    with pytest.raises(nightly.RunAlreadyOpen) as refused:
        claim_slot(job)

    assert refused.value.run == by_hand


def run_at_once(*functions: Callable[[], object]) -> list[object]:
    """Call the functions at the same moment, each over its own connection; return results or exceptions."""
    results: list[object] = [None] * len(functions)
    barrier = Barrier(len(functions))

    def call(number: int, function: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=10)
            results[number] = function()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


@pytest.mark.django_db(transaction=True)
def test_of_many_beats_at_once_one_gets_the_slot(job: CronJob) -> None:
    results = run_at_once(*[lambda: claim_slot(job)] * 4)

    assert sum(isinstance(result, Run) for result in results) == 1
    assert sum(isinstance(result, nightly.SlotTaken | nightly.RunAlreadyOpen) for result in results) == 3
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_nights_that_retire_a_held_run_at_once_one_goes_ahead_and_the_other_is_refused(
    job: CronJob, expired: Expired
) -> None:
    Organisation.objects.update(brake_minimum=0, brake_percent=0)
    expired(1)
    held = plan_night(job.organisation, TODAY)

    results = run_at_once(*[lambda: claim(job.organisation, approved=True)] * 4)

    held.refresh_from_db()
    assert held.status == Run.Status.PARTIAL
    assert sum(isinstance(result, Run) for result in results) == 1, results
    assert sum(isinstance(result, nightly.RunAlreadyOpen) for result in results) == 3, results


# Plan.


def test_the_keys_of_the_ledger_say_what_is_done_once(
    hlf: Organisation, secrecy: CertificationType, enrol: Enrol, certify: Certify
) -> None:
    fresh, before, renewed = enrol(), enrol(), enrol()
    certify(fresh, expires_in=-1)
    soon = certify(fresh, type=secrecy, expires_in=7)
    certify(before, expires_in=-1)
    change_by_hand(before, "active", "paused", "manual")
    change_by_hand(before, "paused", "active", "manual")
    certify(renewed)
    change_by_hand(renewed, "active", "paused", "certification_expired")

    run = plan_night(hlf, TODAY)

    became_active = StatusChange.objects.get(mentor=before, to_status="active")
    became_paused = StatusChange.objects.get(mentor=renewed, to_status="paused")
    assert keys(run) == sorted(
        [
            f"pause:{fresh.pk}:0",
            f"pause:{before.pk}:{became_active.pk}",
            f"resume:{renewed.pk}:{became_paused.pk}",
            f"remind:{soon.pk}:{soon.expires_on}:7",
        ]
    )


def test_a_finished_night_plans_nothing_new_and_says_what_was_handled_already(
    hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    certify(enrol(), expires_in=7)
    certify(enrol(), expires_in=-1)
    first = run_night(hlf, TODAY)

    again = run_night(hlf, TODAY)

    assert first.already_handled == 0
    assert again.already_handled == 1  # the reminder; who is paused is no longer due
    assert keys(again) == []
    assert again.status == Run.Status.SUCCEEDED


def test_planning_again_changes_nothing(hlf: Organisation, expired: Expired) -> None:
    expired(2)
    run = plan_night(hlf, TODAY)

    nightly.plan_run(run.pk, now=NOW)

    assert run.items.count() == 2


def test_a_run_plans_only_the_actions_it_was_claimed_for(hlf: Organisation, expired: Expired, certify: Certify) -> None:
    [mentor] = expired(1)
    certify(mentor, expires_in=7, issued=1)
    certify(mentor, type=CertificationType.objects.create(organisation=hlf, code="x", name="X"), expires_in=7)

    run = run_night(hlf, TODAY, actions=[Action.REMIND])

    assert list(run.counts) == ["remind"]
    assert [outcome[0] for outcome in outcomes(run)] == ["remind"]


def test_the_run_counts_what_it_planned(hlf: Organisation, expired: Expired) -> None:
    expired(2)

    run = plan_night(hlf, TODAY)

    assert run.status == Run.Status.RUNNING
    assert run.counts["pause"] == {"planned": 2, "done": 0, "skipped": 0, "failed": 0}
    assert run.counts["remind"]["planned"] == 0


def test_an_error_while_planning_closes_the_run_as_failed_and_keeps_the_error(
    hlf: Organisation, expired: Expired
) -> None:
    expired(1)
    run = claim(hlf)
    alter("cronjobs_runitem", "ADD CONSTRAINT bad_row CHECK (action <> 'pause')")

    with pytest.raises(IntegrityError, match="bad_row"):
        nightly.plan_run(run.pk, now=NOW)

    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("failed", NOW)
    assert run.error.startswith("IntegrityError: ")
    assert not run.items.exists()


# Work: every outcome.


def test_each_thing_done_is_marked_with_what_was_done(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(ref="A"), expires_in=-1)
    resumed = enrol(ref="B")
    certify(resumed)
    change_by_hand(resumed, "active", "paused", "certification_expired")
    certify(enrol(ref="C"), expires_in=7)

    run = run_night(hlf, TODAY)

    assert outcomes(run) == [
        ("pause", "A", "done", "paused"),
        ("resume", "B", "done", "resumed"),
        ("remind", "C", "done", "reminded"),
    ]
    assert StatusChange.objects.filter(run_id=run.pk).count() == 2


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("renew", "renewed or exempted in between: no lapsed type is left"),
        ("exempt", "renewed or exempted in between: no lapsed type is left"),
        ("pause", "the mentor is paused already"),
        ("end", "the mentor is ended already"),
        ("switch off", "automatic pausing was switched off"),
    ],
)
def test_a_pause_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation,
    course: CertificationType,
    olav: User,
    mentor: Mentor,
    certify: Certify,
    in_between: str,
    outcome: str,
) -> None:
    def interfere() -> None:
        match in_between:
            case "renew":
                certify(mentor, issued=0)
            case "exempt":
                Exemption.objects.create(
                    mentor=mentor, type=course, from_on=TODAY, until_on=TODAY, reason="x", approved_by=olav
                )
            case "pause":
                change_by_hand(mentor, "active", "paused", "manual")
            case "end":
                change_by_hand(mentor, "active", "ended")
            case _:
                Organisation.objects.update(auto_pause=False)

    certify(mentor, expires_in=-1)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("pause", "M0", "skipped", outcome)]
    assert not StatusChange.objects.filter(run_id=run.pk).exists()
    assert not Notification.objects.exists()
    assert run.status == Run.Status.SUCCEEDED


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("revoke", "lapsed again in between"),
        ("activate", "the mentor is active"),
        ("end", "the mentor is ended"),
        ("pause for another reason", "the mentor is paused (manual)"),
        ("switch off", "automatic resuming was switched off"),
    ],
)
def test_a_resume_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, in_between: str, outcome: str
) -> None:
    def interfere() -> None:
        match in_between:
            case "revoke":
                Certification.objects.filter(pk=renewal.pk).update(revoked_at=NOW)
            case "activate":
                change_by_hand(mentor, "paused", "active", "certification_expired")
            case "end":
                change_by_hand(mentor, "paused", "ended", "certification_expired")
            case "pause for another reason":
                change_by_hand(mentor, "paused", "active", "certification_expired")
                change_by_hand(mentor, "active", "paused", "manual")
            case _:
                Organisation.objects.update(auto_resume=False)

    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY)
    renewal = certify(mentor, issued=0)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("resume", "M0", "skipped", outcome)]
    assert not StatusChange.objects.filter(run_id=run.pk).exists()


@pytest.mark.parametrize(
    ("in_between", "outcome"),
    [
        ("renew", "renewed, changed or revoked in between"),
        ("prolong", "renewed, changed or revoked in between"),
        ("revoke", "renewed, changed or revoked in between"),
        ("delete", "renewed, changed or revoked in between"),
        ("end", "the mentor is ended"),
    ],
)
def test_a_reminder_that_is_no_longer_due_is_skipped_with_the_reason(
    hlf: Organisation, mentor: Mentor, certify: Certify, in_between: str, outcome: str
) -> None:
    def interfere() -> None:
        this = Certification.objects.filter(pk=certification.pk)
        match in_between:
            case "renew":
                certify(mentor, issued=0)
            case "prolong":
                this.update(expires_on=TODAY + timedelta(days=6))
            case "revoke":
                this.update(revoked_at=NOW)
            case "delete":
                this.delete()
            case _:
                change_by_hand(mentor, "active", "ended")

    certification = certify(mentor, expires_in=7)

    run = run_night(hlf, TODAY, in_between=interfere)

    assert outcomes(run) == [("remind", "M0", "skipped", outcome)]
    assert not Notification.objects.exists()


def test_what_was_skipped_is_done_by_a_later_run_if_it_is_due_then(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, in_between=lambda: Organisation.objects.update(auto_pause=False))
    Organisation.objects.update(auto_pause=True)

    run = run_night(hlf, TOMORROW)

    assert outcomes(run) == [("pause", "M0", "done", "paused")]


def test_the_evidence_outlives_the_certification(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certification = certify(mentor, expires_in=7, number="C7")
    run = run_night(hlf, TODAY)

    certification.delete()

    item = run.items.get()
    assert (item.certification, item.type, item.number, item.stage) == (None, "likepersonkurs", "C7", 7)
    assert item.expires_on == TODAY + timedelta(days=7)


def test_working_a_batch_again_does_nothing_twice(hlf: Organisation, expired: Expired) -> None:
    [mentor] = expired(1)
    run = plan_night(hlf, TODAY)

    for _ in range(2):
        work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk]), now=noon(TODAY))

    assert StatusChange.objects.count() == 1
    assert Notification.objects.filter(recipient_mentor=mentor).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_the_same_batch_do_it_once(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(5)
    run = plan_night(hlf, TODAY)
    batch = Batch(mentor_ids=[mentor.pk for mentor in mentors])

    results = run_at_once(*[lambda: work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))] * 3)

    assert results == [[]] * 3
    assert StatusChange.objects.count() == 5
    assert set(run.items.values_list("status", flat=True)) == {"done"}


# Batches.


def test_a_small_night_has_a_subtask_for_each_mentor(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(3)
    run = plan_night(hlf, TODAY)

    batches = list(nightly.batches(run, now=noon(TODAY)))

    assert [batch.mentor_ids for batch in batches] == [[mentor.pk] for mentor in mentors]


@pytest.mark.parametrize(("due", "sizes"), [(4, [1, 1, 1, 1]), (5, [2, 2, 1]), (8, [2, 2, 2, 2]), (9, [3, 3, 3])])
def test_a_big_night_coalesces_mentors_into_batches(
    hlf: Organisation, expired: Expired, settings: Settings, due: int, sizes: list[int]
) -> None:
    settings.NIGHTLY_MAX_SUBTASKS = 4
    mentors = expired(due)
    run = plan_night(hlf, TODAY)

    batches = list(nightly.batches(run, now=noon(TODAY)))

    assert [len(batch.mentor_ids) for batch in batches] == sizes
    assert [pk for batch in batches for pk in batch.mentor_ids] == [mentor.pk for mentor in mentors]


def test_a_mentor_with_several_items_is_in_one_batch(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=7)
    certify(mentor, type=secrecy, expires_in=7)
    run = plan_night(hlf, TODAY)

    assert [batch.mentor_ids for batch in nightly.batches(run, now=noon(TODAY))] == [[mentor.pk]]


# Brake.


@pytest.fixture
def at_most_three(hlf: Organisation) -> Organisation:
    """HLF, whose nights may pause three mentors, or a third of them where that is more."""
    hlf.brake_minimum, hlf.brake_percent = 3, 33
    hlf.save()
    return hlf


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
    assert (run.status, run.error) == ("partial", "Rejected by olav: The import was wrong.")
    assert run.counts["pause"] == {"planned": 4, "done": 0, "skipped": 4, "failed": 0}
    assert {outcome[2:] for outcome in outcomes(run)} == {("skipped", "Rejected by olav: The import was wrong.")}
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
    assert str(successor.pk) in held.error
    assert (run.status, run.counts["pause"]["planned"]) == ("held", 4)


def test_a_second_press_does_not_push_a_held_run_aside(at_most_three: Organisation, expired: Expired) -> None:
    expired(4)
    held = run_night(at_most_three, TODAY)

    with pytest.raises(nightly.RunAlreadyOpen, match="--approve"):
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


# Close.


def test_a_run_with_pending_items_is_not_closed(hlf: Organisation, expired: Expired) -> None:
    expired(1)
    run = plan_night(hlf, TODAY)

    assert nightly.close_run(run.pk, now=NOW) is False


def test_a_run_is_closed_once(hlf: Organisation) -> None:
    run = plan_night(hlf, TODAY)

    assert [nightly.close_run(run.pk, now=NOW) for _ in range(2)] == [True, False]


def test_a_closed_run_has_balanced_books(hlf: Organisation, expired: Expired, certify: Certify) -> None:
    renewed, *_others = expired(3)

    run = run_night(hlf, TODAY, in_between=lambda: certify(renewed, issued=0))

    assert run.counts["pause"] == {"planned": 3, "done": 2, "skipped": 1, "failed": 0}
    assert (run.status, run.error) == ("succeeded", "")
    assert run.finished_at == noon(TODAY)


def test_books_that_do_not_balance_make_the_run_not_green(hlf: Organisation, expired: Expired) -> None:
    lost, *_others = expired(2)

    run = run_night(hlf, TODAY, in_between=lambda: RunItem.objects.filter(mentor=lost).delete())

    assert run.status == Run.Status.PARTIAL
    assert "do not balance: 2 planned to pause" in run.error


# Dry run.


def count_rows() -> dict[str, int]:
    """Count the rows of every table of the project."""
    return {model._meta.db_table: model._default_manager.count() for model in apps.get_models() if model._meta.managed}


def as_due(run: Run) -> list[tuple[object, ...]]:
    fields = ("action", "mentor__ref", "type", "number", "expires_on", "stage")
    return sorted(run.items.filter(status="done").values_list(*fields), key=str)


def as_shown(items: list[DueItem]) -> list[tuple[object, ...]]:
    shown = [
        (item.action.value, item.mentor_ref, item.type, item.number, item.expires_on, item.stage) for item in items
    ]
    return sorted(shown, key=str)


def test_a_dry_run_shows_exactly_what_the_run_then_does_and_writes_nothing(
    hlf: Organisation, secrecy: CertificationType, enrol: Enrol, expired: Expired, certify: Certify
) -> None:
    first, *_others = expired(3)
    certify(first, type=secrecy, expires_in=7)
    certify(enrol(), expires_in=30)
    renewed = enrol()
    certify(renewed)
    change_by_hand(renewed, "active", "paused", "certification_expired")
    before = count_rows()

    shown = show_due_items(organisation=hlf, actions=nightly.ALL_ACTIONS, on=TODAY)

    assert count_rows() == before
    assert len(shown) == 6
    assert as_shown(shown) == as_due(run_night(hlf, TODAY))
    assert show_due_items(organisation=hlf, actions=nightly.ALL_ACTIONS, on=TODAY) == []


def test_a_dry_run_shows_a_coming_day(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=0)

    items = show_due_items(organisation=hlf, actions=[Action.PAUSE], on=TOMORROW)

    assert [(item.action, item.mentor_ref, item.mentor_name) for item in items] == [("pause", "M0", "Liv Moe")]


# A row that fails.


def break_mentor(mentor: Mentor) -> None:
    """Make the database refuse to pause this mentor."""
    alter("mentors_mentor", f"ADD CONSTRAINT bad_row CHECK (id <> {mentor.pk} OR status = 'active') NOT VALID")


def mend_mentor() -> None:
    alter("mentors_mentor", "DROP CONSTRAINT bad_row")


def die(*arguments: object, **options: object) -> None:
    """Do what a worker does that is killed."""
    raise SystemExit


@pytest.mark.parametrize("max_subtasks", [100, 1])
def test_one_bad_row_stops_only_itself_and_is_tried_again_the_next_night(
    hlf: Organisation, expired: Expired, settings: Settings, max_subtasks: int
) -> None:
    settings.NIGHTLY_MAX_SUBTASKS = max_subtasks
    mentors = expired(5)
    bad = mentors[2]
    break_mentor(bad)

    run = run_night(hlf, TODAY)
    mend_mentor()
    tomorrow = run_night(hlf, TOMORROW)

    failed = run.items.get(mentor=bad)
    retried = tomorrow.items.get()
    assert run.status == Run.Status.PARTIAL
    assert run.counts["pause"] == {"planned": 5, "done": 4, "skipped": 0, "failed": 1}
    assert run.error == "1 item failed; the next run tries it again."
    assert (failed.status, failed.attempts) == ("failed", 3)
    assert failed.error.startswith("IntegrityError: ")
    assert "bad_row" in failed.error
    assert (retried.dedupe_key, retried.status) == (failed.dedupe_key, "done")
    assert tomorrow.status == Run.Status.SUCCEEDED
    assert StatusChange.objects.count() == 5


def test_a_batch_that_fails_is_split_into_single_mentors_and_leaves_nothing_behind(
    hlf: Organisation, expired: Expired
) -> None:
    mentors = expired(3)
    break_mentor(mentors[1])
    run = plan_night(hlf, TODAY)

    left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=[mentor.pk for mentor in mentors]), now=noon(TODAY))

    assert left == [Batch(mentor_ids=[mentor.pk]) for mentor in mentors]
    assert not StatusChange.objects.exists()
    assert not Notification.objects.exists()
    assert set(run.items.values_list("status", "attempts")) == {("pending", 0)}


def test_a_failed_item_keeps_its_error_and_waits_longer_each_time(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)
    run = plan_night(hlf, TODAY)
    now = noon(TODAY)

    waits = []
    for _ in range(3):
        left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=[bad.pk]), now=now)
        waits.append([batch.countdown for batch in left])
        now += timedelta(minutes=1)

    assert waits == [[5], [10], []]
    assert run.items.get().status == RunItem.Status.FAILED


def test_a_retry_that_comes_too_early_does_nothing(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)
    run = plan_night(hlf, TODAY)
    batch = Batch(mentor_ids=[bad.pk])
    work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

    left = work_batch(run_id=run.pk, batch=batch, now=noon(TODAY) + timedelta(seconds=4))

    assert left == []
    assert run.items.get().attempts == 1


def test_a_run_of_which_everything_failed_is_failed(hlf: Organisation, expired: Expired) -> None:
    [bad] = expired(1)
    break_mentor(bad)

    assert run_night(hlf, TODAY).status == Run.Status.FAILED


def test_a_failing_reminder_of_a_held_run_does_not_use_up_its_pauses(
    at_most_three: Organisation,
    secrecy: CertificationType,
    expired: Expired,
    certify: Certify,
) -> None:
    mentors = expired(4)
    certify(mentors[0], type=secrecy, expires_in=7)
    alter("notifications_notification", "ADD CONSTRAINT bad_row CHECK (kind <> 'night') NOT VALID")

    run = run_night(at_most_three, TODAY)

    assert run.status == Run.Status.HELD
    assert run.items.get(action="remind").status == RunItem.Status.FAILED
    assert set(run.items.filter(action="pause").values_list("status", "attempts", "error")) == {("pending", 0, "")}


def test_a_careful_batch_counts_its_attempt_before_it_begins_and_gives_up_what_kills_its_worker(
    hlf: Organisation, expired: Expired, monkeypatch: pytest.MonkeyPatch
) -> None:
    [mentor] = expired(1)
    run = plan_night(hlf, TODAY)
    monkeypatch.setattr("cronjobs.work._act", die)
    batch = Batch(mentor_ids=[mentor.pk], careful=True)

    for _ in range(3):
        with pytest.raises(SystemExit):
            work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))
    monkeypatch.undo()
    work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

    item = run.items.get()
    assert (item.status, item.attempts) == ("failed", 3)
    assert item.error == "Given up: no worker came back from it."
    assert not StatusChange.objects.exists()


def test_a_careful_batch_that_was_tried_before_is_split(hlf: Organisation, expired: Expired) -> None:
    mentors = expired(2)
    run = plan_night(hlf, TODAY)
    run.items.update(attempts=1)
    ids = [mentor.pk for mentor in mentors]

    left = work_batch(run_id=run.pk, batch=Batch(mentor_ids=ids, careful=True), now=noon(TODAY))

    assert left == [Batch(mentor_ids=[pk], careful=True) for pk in ids]


# What the database itself refuses.


@pytest.mark.parametrize(
    "statement", ["UPDATE mentors_statuschange SET reason = 'x'", "DELETE FROM mentors_statuschange"]
)
def test_a_status_change_is_never_changed_and_never_removed(
    hlf: Organisation, expired: Expired, statement: str
) -> None:
    expired(1)
    run_night(hlf, TODAY)

    with pytest.raises(DatabaseError, match="append_only"), connection.cursor() as cursor:
        cursor.execute(statement)


def violations(hlf: Organisation, oslo: Chapter, course: CertificationType, mentor: Mentor, job: CronJob) -> Any:
    """Return a row for each named constraint that breaks only this one."""
    user = User.objects.create_user("user")
    other = Organisation.objects.create(slug="other", name="Other")
    held = Certification.objects.create(mentor=mentor, type=course, number="C1", issued_on=TODAY, expires_on=TODAY)
    also_held = Certification.objects.create(mentor=mentor, type=course, number="C2", issued_on=TODAY)
    run = Run.objects.create(
        organisation=hlf,
        cron_job=job,
        scheduled_for=SLOT,
        business_date=TODAY,
        trigger="schedule",
        actions=["pause"],
        created_at=NOW,
        code_version="test",
    )
    item = {"run": run, "action": "pause", "mentor": mentor, "dedupe_key": f"pause:{mentor.pk}:0", "at": NOW}
    RunItem.objects.create(**item)
    message = {
        "organisation": hlf,
        "kind": "night",
        "channel": "email",
        "language": "nb",
        "created_at": NOW,
    }
    told = Notification.objects.create(dedupe_key="told", recipient_user=user, **message)
    answer = {"notification": told, "mentor": mentor, "choice": "help", "at": NOW}
    Answer.objects.create(**answer)
    bad_address = {"channel": "email", "address": "liv@example.org", "reason": "550", "at": NOW}
    BadAddress.objects.create(**bad_address)
    CoordinatorRole.objects.create(user=user, organisation=hlf)
    silence = {"part": Part.BEAT, "from_at": SLOT, "until_at": NOW}
    Silence.objects.create(**silence)
    incident = {"kind": "test", "key": "test", "summary": "x", "began_at": NOW, "seen_at": NOW}
    Incident.objects.create(**incident)
    forecast = {"organisation": hlf, "business_date": TODAY, "expected": {}, "written_at": NOW}
    Forecast.objects.create(**forecast)
    seal = {"organisation": hlf, "number": 1, "run_id": run.pk, "items": 0, "at": NOW}
    Seal.objects.create(**seal)
    summary = {"organisation": hlf, "month": TODAY.replace(day=1), "runs": {}, "counts": {}}
    RunSummary.objects.create(**summary)
    a_run = {
        "business_date": TODAY,
        "trigger": "manual",
        "actions": ["pause"],
        "created_at": NOW,
        "code_version": "test",
    }
    extended = {
        "extension": Extension.objects.create(organisation=hlf, reason="x", by=user, at=NOW),
        "certification": held,
        "from_on": TODAY,
        "to_on": TODAY + timedelta(days=1),
    }
    ExtendedCertification.objects.create(**extended)
    feed = {"digest": "0" * 64, "created_at": NOW}
    CalendarFeed.objects.create(user=user, **feed)
    elsewhere = Chapter.objects.create(organisation=other, name="Elsewhere", slug="elsewhere")
    someone = {"organisation": hlf, "name": "Someone"}
    return {
        "chapter_slug_is_unique": Chapter(organisation=hlf, name="Oslo Vest", slug="oslo"),
        "chapter_name_is_unique": Chapter(organisation=hlf, name="Oslo", slug="oslo-vest"),
        "role_is_unique": CoordinatorRole(user=user, organisation=hlf),
        "auditor_reads_the_whole_organisation": CoordinatorRole(
            user=user, duty=CoordinatorRole.Duty.AUDITOR, organisation=hlf, chapter=oslo
        ),
        "mentor_ref_is_unique": Mentor(chapter=oslo, ref=mentor.ref, **someone),
        "mentor_has_a_cause_exactly_when_paused": Mentor(chapter=oslo, ref="new", status="paused", **someone),
        "mentor_chapter_is_of_the_organisation": Mentor(chapter=elsewhere, ref="new", **someone),
        "type_code_is_unique": CertificationType(organisation=hlf, code=course.code, name="Again"),
        "certification_is_recorded_once": Certification(mentor=mentor, type=course, number="C1", issued_on=TODAY),
        "certification_expires_after_issue": Certification(
            mentor=mentor, type=course, issued_on=TODAY, expires_on=TODAY - timedelta(days=1)
        ),
        "exemption_ends_after_it_begins": Exemption(
            mentor=mentor,
            type=course,
            from_on=TODAY,
            until_on=TODAY - timedelta(days=1),
            reason="x",
            approved_by=user,
        ),
        "extension_extends_each_once": ExtendedCertification(**extended),
        "extension_is_to_later": ExtendedCertification(**extended | {"certification": also_held, "to_on": TODAY}),
        "extension_is_undone_by_somebody": Extension(organisation=hlf, reason="x", by=user, at=NOW, undone_at=NOW),
        "calendar_feed_address_is_unique": CalendarFeed(user=User.objects.create_user("another"), **feed),
        "cron_job_name_is_unique": CronJob(organisation=hlf, name=job.name, timezone="Europe/Oslo", slots_from=NOW),
        "silence_is_written_once": Silence(**silence),
        "silence_ends_after_it_begins": Silence(part=Part.BROKER, from_at=NOW, until_at=NOW),
        "incident_is_open_once": Incident(**incident),
        "forecast_is_one_a_night": Forecast(**forecast),
        "seal_has_one_place": Seal(**seal),
        "run_summary_is_one_a_month": RunSummary(**summary),
        "run_slot_is_claimed_once": Run(organisation=other, cron_job=job, scheduled_for=SLOT, status="missed", **a_run),
        "run_is_alone_in_its_organisation": Run(organisation=hlf, **a_run),
        "run_item_acts_once": RunItem(**item | {"certification": held}),
        "notification_is_written_once": Notification(dedupe_key="told", recipient_user=user, **message),
        "notification_has_one_recipient": Notification(
            dedupe_key="both", recipient_user=user, recipient_mentor=mentor, **message
        ),
        "preference_is_of_one_person": Preference(user=user, mentor=mentor),
        "preference_of_mentor_has_no_mail": Preference(mentor=mentor, mail="weekly"),
        "bad_address_is_marked_once": BadAddress(**bad_address),
        "answer_is_given_once": Answer(**answer),
    }


def save_at_once(row: Model) -> None:
    """Insert the row and check what is deferred to the end of the transaction."""
    with transaction.atomic():
        row.save(force_insert=True)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


CONSTRAINTS = [
    "chapter_slug_is_unique",
    "chapter_name_is_unique",
    "role_is_unique",
    "auditor_reads_the_whole_organisation",
    "mentor_ref_is_unique",
    "mentor_has_a_cause_exactly_when_paused",
    "mentor_chapter_is_of_the_organisation",
    "type_code_is_unique",
    "certification_is_recorded_once",
    "certification_expires_after_issue",
    "exemption_ends_after_it_begins",
    "extension_extends_each_once",
    "extension_is_to_later",
    "extension_is_undone_by_somebody",
    "calendar_feed_address_is_unique",
    "cron_job_name_is_unique",
    "silence_is_written_once",
    "silence_ends_after_it_begins",
    "incident_is_open_once",
    "forecast_is_one_a_night",
    "seal_has_one_place",
    "run_summary_is_one_a_month",
    "run_slot_is_claimed_once",
    "run_is_alone_in_its_organisation",
    "run_item_acts_once",
    "notification_is_written_once",
    "notification_has_one_recipient",
    "preference_is_of_one_person",
    "preference_of_mentor_has_no_mail",
    "bad_address_is_marked_once",
    "answer_is_given_once",
]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_database_refuses_by_a_named_constraint(
    hlf: Organisation, oslo: Chapter, course: CertificationType, mentor: Mentor, job: CronJob, constraint: str
) -> None:
    row: Model = violations(hlf, oslo, course, mentor, job)[constraint]

    with pytest.raises(IntegrityError, match=constraint):
        save_at_once(row)


def test_every_constraint_of_the_project_is_violated_above() -> None:
    named = {
        constraint.name
        for app in ("mentors", "certifications", "notifications", "cronjobs")
        for model in apps.get_app_config(app).get_models()
        for constraint in model._meta.constraints
    }
    # What only carries a foreign key over two columns cannot be violated: `id` alone is unique already.
    assert named - {"chapter_with_organisation"} <= set(CONSTRAINTS)


def test_a_key_given_back_may_be_used_again(hlf: Organisation, mentor: Mentor) -> None:
    run = claim(hlf)
    item = {"run": run, "action": "pause", "mentor": mentor, "dedupe_key": str(uuid4()), "at": NOW}

    for status in ("skipped", "failed", "skipped", "done"):
        RunItem.objects.create(status=status, **item)

    with pytest.raises(IntegrityError, match="run_item_acts_once"):
        RunItem.objects.create(status="pending", **item)
