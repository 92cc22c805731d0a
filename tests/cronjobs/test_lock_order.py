"""A night and a person never wait for each other in a ring; if a hand in psql does, the work is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction

from certifications.models import Certification
from certifications.recording import remove_certification, renew_certification
from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import change_cron_job
from cronjobs.work import Batch, work_batch
from mentors.models import Mentor, MentorQuerySet, Organisation
from tests.conftest import NOW, TODAY, Certify
from tests.cronjobs.conftest import SLOT
from tests.support.at_once import side_by_side, start_beside
from tests.support.commands import run as run_command
from tests.support.nights import noon, outcomes, plan_night, work_night

pytestmark = pytest.mark.django_db(transaction=True)


def work_all(run: Run) -> list[Batch]:
    batch = Batch(mentor_ids=list(run.items.values_list("mentor", flat=True)))
    return work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))


@pytest.fixture
def stop_after_the_claim(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen when a batch has claimed its items, and is about to lock their mentors."""

    def stop(meanwhile: Callable[[], object]) -> None:
        def locked(mentors: MentorQuerySet) -> MentorQuerySet:
            monkeypatch.undo()
            meanwhile()
            return mentors.locked()

        monkeypatch.setattr(MentorQuerySet, "locked", locked)

    return stop


def test_a_certification_is_removed_while_the_night_is_at_its_mentor(
    hlf: Organisation, mentor: Mentor, certify: Certify, stop_after_the_claim: Callable[[Callable[[], object]], None]
) -> None:
    certification = certify(mentor, expires_in=7)
    run = plan_night(hlf, TODAY)
    removal: list[Callable[[], object]] = []
    stop_after_the_claim(lambda: removal.append(start_beside(lambda: remove_certification(certification))))

    left = work_all(run)

    assert (left, removal[0]()) == ([], None)
    assert not Certification.objects.exists()
    assert outcomes(work_night(run)) == [("remind", "M0", "skipped", "changed")]
    assert run.items.get().attempts == 0


def test_who_renews_while_the_night_is_at_work_is_not_paused(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    expired = certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)

    _renewed, left = side_by_side(
        lambda: renew_certification(expired, issued_on=TODAY, expires_on=TODAY + timedelta(days=365), now=NOW),
        lambda: work_all(run),
    )

    assert left == []
    assert outcomes(work_night(run)) == [("pause", "M0", "skipped", "renewed")]


def test_create_organisation_is_run_again_while_the_night_is_at_work(
    hlf: Organisation, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)

    results = side_by_side(
        lambda: work_all(run), lambda: run_command("create_organisation", "hlf", "--expiry-day-invalid")
    )

    assert not [result for result in results if isinstance(result, Exception)]
    assert outcomes(work_night(run)) == [("pause", "M0", "done", "paused")]


def test_a_setting_that_is_saved_while_the_night_waits_for_a_mentor_holds(
    hlf: Organisation, mentor: Mentor, certify: Certify, stop_after_the_claim: Callable[[Callable[[], object]], None]
) -> None:
    certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)
    stop_after_the_claim(lambda: start_beside(lambda: Organisation.objects.update(auto_pause=False)))

    work_all(run)

    assert outcomes(work_night(run)) == [("pause", "M0", "skipped", "no_pausing")]


def test_a_schedule_is_changed_while_its_slot_is_claimed(job: CronJob) -> None:
    def claim() -> None:
        """Insert the run as a claim does, whose foreign key is checked when it commits."""
        Run.objects.create(
            id=Run.id_of_slot(job.pk, SLOT), organisation=job.organisation, cron_job=job, scheduled_for=SLOT,
            business_date=TODAY, trigger=Run.Trigger.SCHEDULE, actions=["pause"], created_at=NOW, code_version="test",
        )  # fmt: skip

    results = side_by_side(claim, lambda: change_cron_job(job, now=NOW, cron_expression="15 3 * * *"))

    assert not [result for result in results if isinstance(result, Exception)]
    assert Run.objects.get(scheduled_for=SLOT).status == Run.Status.PLANNED


@pytest.mark.parametrize("count_attempt_first", [False, True])
def test_a_deadlock_is_tried_again_and_costs_no_attempt(
    hlf: Organisation,
    mentor: Mentor,
    certify: Certify,
    stop_after_the_claim: Callable[[Callable[[], object]], None],
    count_attempt_first: bool,
) -> None:
    certify(mentor, expires_in=-1)
    run = plan_night(hlf, TODAY)
    batch = Batch(mentor_ids=[mentor.pk], count_attempt_first=count_attempt_first)

    def lock_the_wrong_way_round() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '1h'")  # so that it is the night that gives way
            cursor.execute("SELECT FROM mentors_mentor FOR UPDATE")
            cursor.execute("SELECT FROM cronjobs_runitem FOR UPDATE")

    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '1ms'")
    stop_after_the_claim(lambda: start_beside(lock_the_wrong_way_round))

    left = work_batch(run_id=run.pk, batch=batch, now=noon(TODAY))

    assert [(again.mentor_ids, again.countdown) for again in left] == [([mentor.pk], 0)]
    assert run.items.get().attempts == int(count_attempt_first)
    assert work_batch(run_id=run.pk, batch=left[0], now=noon(TODAY)) == []
    assert (run.items.get().status, run.items.get().attempts) == ("done", int(count_attempt_first))
