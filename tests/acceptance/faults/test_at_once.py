"""What two or more do at the same moment is done once.

Each test makes a crowd of which it knows what the night must do to whom, breaks something at a moment that it has
made sure of (a lock holds the worker inside a batch), lets the run come to its end by itself or by the sweep, and
then asks `assert_night_is_right`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta

import psycopg
import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from certifications.models import Certification
from certifications.recording import renew_certification
from cronjobs import dispatch, nightly, starting
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob, Run, RunItem
from mentors.models import Mentor, StatusChange
from notifications.models import Notification
from tests.support.breaking import (
    bring_to_its_end,
    do_at_once,
    done_and_pending,
    hold,
    is_closed,
    nightly_command,
    outcome_of,
    run_command,
    start_night,
)
from tests.support.crowd import (
    COURSE,
    LAPSED,
    WITH_TWO_ITEMS,
    Crowd,
    assert_books_balance,
    assert_every_change_is_logged_once,
    assert_night_is_right,
    assert_nothing_was_done_twice,
    gather,
)
from tests.support.nights import plan_night
from tests.support.processes import (
    live_environment,
    wait_until,
    worker,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("way", ["free", "held"])
def test_a_slot_claimed_by_eight_at_once_has_one_run(way: str) -> None:
    crowd = gather(60)
    in_the_past = f"0 {(timezone.now() - timedelta(hours=3)).hour} * * *"
    job = starting.schedule_nightly_run(
        now=timezone.now(), organisation=crowd.organisation, cron_expression=in_the_past, timezone="UTC"
    )
    slot = latest_slot(job.cron_expression, job.timezone, now=timezone.now())
    if way == "held":
        leave_a_held_run(crowd)

    said = do_at_once(8, CLAIM_THE_LATEST_SLOT)
    run = Run.objects.get(scheduled_for=slot)
    with worker() as late:
        for _ in range(3):
            current_app.send_task("cronjobs.nightly", [job.pk])
        late.wait_until(lambda: is_closed(run), what="the end of the run")
        late.wait_until(lambda: late.output.count("slot taken") == 3, what="three more claims")

    assert [said.count("CLAIMED"), said.count("TAKEN")] == [1, 7]
    assert Run.objects.count() == (2 if way == "held" else 1)
    assert_night_is_right(run, crowd)


CLAIM_THE_LATEST_SLOT = """
            job, now = CronJob.objects.get(), timezone.now()
            run = starting.execute_slot(job, slot=latest_slot(job.cron_expression, job.timezone, now=now), now=now)
            print("CLAIMED" if run else "TAKEN")
"""


def leave_a_held_run(crowd: Crowd) -> None:
    """Let the brake hold the run of the day before."""
    organisation = crowd.organisation
    organisation.brake_minimum = organisation.brake_percent = 0
    organisation.save()
    held = plan_night(organisation, crowd.on - timedelta(days=1), now=timezone.now() - timedelta(days=1))
    assert held.status == Run.Status.HELD
    organisation.brake_percent = 100
    organisation.save()


def test_of_two_commands_at_once_one_runs_and_the_other_names_it() -> None:
    crowd = gather(60)
    with worker() as fleet:
        with hold(crowd.busy[10]) as held, nightly_command() as one, nightly_command() as other:
            fleet.wait_until(held.waiting, what="a batch that lasts")
            fleet.wait_until(lambda: {one.poll(), other.poll()} != {None}, what="the end of the loser")
            loser, winner = (one, other) if one.poll() is not None else (other, one)
            refused = outcome_of(loser)
            held.release()
            accepted = outcome_of(winner)
        again = run_command()

    run = Run.objects.get(pk=accepted.run["id"])
    assert (accepted.code, accepted.complaints) == (0, [])
    assert refused.code == 1
    assert [str(run.pk) in line for line in refused.complaints] == [True]
    assert_night_is_right(run, crowd)
    assert again.code == 0
    assert sum(count["planned"] for count in again.run["counts"].values()) == 0
    assert Run.objects.count() == 2


def test_a_renewal_at_the_moment_of_the_pause_never_leaves_a_valid_mentor_paused() -> None:
    crowd = gather(200, LAPSED)
    pks = [person.pk for person in crowd.people]
    renewals = [(pks[0::2], "up"), (pks[1::2][::-1], "down"), (pks[1::4], "up")]
    with worker() as fleet:
        with hold(pks[20], pks[40]) as held:
            run = start_night(crowd)
            fleet.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
            threads = [threading.Thread(target=renew_all, args=(crowd.on, *renewal)) for renewal in renewals]
            for thread in threads:
                thread.start()
            wait_until(Certification.objects.filter(number="down").exists, what="a renewal before the night's turn")
        for thread in threads:
            thread.join()
        bring_to_its_end(run)
    run.refresh_from_db()

    changes = StatusChange.objects.filter(mentor__in=pks).order_by("id").values_list("mentor_id", "to_status")
    paused = sorted(pk for pk, status in changes if status == "paused")
    resumed = sorted(pk for pk, status in changes if status == "active")
    done = run.items.filter(status=RunItem.Status.DONE).values_list("mentor_id", flat=True)
    skipped = run.items.filter(status=RunItem.Status.SKIPPED)
    told = Notification.objects.filter(run_id=run.pk, kind=Notification.Kind.NIGHT)
    assert set(Mentor.objects.filter(pk__in=pks).values_list("status", flat=True)) == {"active"}
    assert paused == resumed == sorted(done) == sorted(told.values_list("recipient_mentor_id", flat=True))
    assert sorted(paused) == sorted(set(paused))
    assert sorted([*done, *skipped.values_list("mentor_id", flat=True)]) == pks
    assert {item.outcome.as_text() for item in skipped} == {"renewed"}
    assert (run.status, len(paused) > 0, len(skipped) > 0) == (Run.Status.SUCCEEDED, True, True)
    assert_books_balance(run)
    assert_nothing_was_done_twice()
    assert_every_change_is_logged_once(crowd)


def renew_all(on: date, mentor_ids: Iterable[int], number: str) -> None:
    try:
        for pk in mentor_ids:
            old = Certification.objects.get(mentor=pk, type__code=COURSE, number="1")
            renew_certification(
                old, issued_on=on, expires_on=on + timedelta(days=365), number=number, now=timezone.now()
            )
    finally:
        connection.close()


def test_a_batch_delivered_again_and_again_is_done_once() -> None:
    crowd = gather(300, *WITH_TWO_ITEMS, LAPSED)
    run = plan_night(crowd.organisation, crowd.on, now=timezone.now())
    batches = list(nightly.batches(run, now=timezone.now()))
    with worker() as one, worker():
        dispatch.send_batches(run.pk, [batch for number, batch in enumerate(batches) for _ in range(2 + number % 2)])
        one.wait_until(lambda: is_closed(run), what="the end of the run")

    assert_night_is_right(run, crowd)


def test_a_mentor_whom_another_worker_has_is_passed_over_with_all_that_is_due() -> None:
    crowd = gather(60, *WITH_TWO_ITEMS)
    run = plan_night(crowd.organisation, crowd.on, now=timezone.now())
    first, *_others = run.items.filter(mentor=crowd.busy[10]).order_by("id")
    with worker() as fleet:
        with psycopg.connect(live_environment()["DATABASE_URL"]) as another:
            another.execute("SELECT 1 FROM cronjobs_runitem WHERE id = %s FOR UPDATE", [first.pk])
            dispatch.send_batches(run.pk, nightly.batches(run, now=timezone.now()))
            fleet.wait_until(lambda: done_and_pending(run)[1] <= 2, what="the end of all other mentors")
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_four_sweeps_at_once_make_up_a_missed_slot_and_a_stuck_run_once() -> None:
    stuck, missed = gather(60), gather(60, slug="nfu")
    ten_minutes_ago = timezone.now() - timedelta(minutes=10)
    run = plan_night(stuck.organisation, stuck.on, now=ten_minutes_ago)
    three_hours_ago = (timezone.now() - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    job = starting.schedule_nightly_run(
        now=timezone.now(),
        organisation=missed.organisation,
        cron_expression=f"0 {three_hours_ago.hour} * * *",
        timezone="UTC",
    )
    CronJob.objects.update(slots_from=three_hours_ago - timedelta(days=3, hours=1))

    said = do_at_once(4, "sweep(now=timezone.now())")
    with worker():
        made_up = Run.objects.get(cron_job=job, trigger=Run.Trigger.CATCH_UP)
        bring_to_its_end(run)
        bring_to_its_end(made_up)

    assert "sweep_failed" not in said
    assert made_up.scheduled_for == three_hours_ago
    assert Counter(Run.objects.filter(cron_job=job).values_list("status", flat=True)) == {"succeeded": 1, "missed": 3}
    assert_night_is_right(run, stuck)
    assert_night_is_right(made_up, missed)
