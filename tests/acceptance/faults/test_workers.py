"""Workers that are killed, lose their child, their queue or their connections in mid-run.

Each test makes a crowd of which it knows what the night must do to whom, breaks something at a moment that it has
made sure of (a lock holds the worker inside a batch), lets the run come to its end by itself or by the sweep, and
then asks `assert_night_is_right`.
"""

from __future__ import annotations

from functools import partial

import pytest
from celery import current_app
from django.utils import timezone

from cronjobs.sweep import sweep
from notifications.channels import EMAIL
from notifications.models import Notification
from tests.support.breaking import (
    assert_mid_run,
    bring_to_its_end,
    hold,
    is_closed,
    kill_children,
    other_backends,
    start_night,
    terminate,
)
from tests.support.crowd import (
    assert_night_is_right,
    gather,
    send_at_all_hours,
)
from tests.support.mail import SILENT, mail_server
from tests.support.processes import (
    empty_broker,
    worker,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]


@pytest.mark.canary
def test_a_killed_worker_loses_nothing_and_repeats_nothing() -> None:
    crowd = gather(150)
    with worker() as victim, hold(crowd.busy[30], crowd.busy[50]) as held:
        run = start_night(crowd)
        victim.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
        victim.kill()
    assert_mid_run(run)

    with worker():
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_a_killed_child_has_its_batch_delivered_again() -> None:
    crowd = gather(60)
    with worker("worker_lost_wait=0.5", concurrency=1) as lone:
        with hold(crowd.busy[10]) as held:
            run = start_night(crowd)
            lone.wait_until(held.waiting, what="the child inside the batch")
            kill_children(lone)
            terminate(held.waiting())
        lone.wait_until(lambda: is_closed(run), what="the end of the run, without a sweep")

    assert_night_is_right(run, crowd)
    # An attempt together with others is none of one's own.
    assert set(run.items.filter(mentor=crowd.busy[10]).values_list("attempts", flat=True)) == {0}


@pytest.mark.parametrize("fault", ["death", "connection loss"])
def test_a_mentor_on_whom_every_attempt_breaks_stops_only_itself(fault: str) -> None:
    crowd = gather(60)
    poison = crowd.busy[10]
    stubborn = worker("worker_lost_wait=0.5", concurrency=1, NIGHTLY_MAX_ATTEMPTS="3", NIGHTLY_RETRY_SECONDS="1")
    with stubborn as lone, hold(poison) as held:
        run, blows = start_night(crowd), 0
        while lone.wait_until(lambda: held.waiting() or is_closed(run), what="the next attempt") is not True:
            blows += 1
            assert blows < 10, "it goes on for ever"
            if fault == "death":
                kill_children(lone)
            terminate(held.waiting())

    # Alone as often as NIGHTLY_MAX_ATTEMPTS; before, once in its batch, and a second time where nobody could write down
    # that the first had failed.
    assert blows == 3 + (2 if fault == "death" else 1)
    assert_night_is_right(run, crowd, failed=[poison])
    errors = set(run.items.filter(mentor=poison).values_list("error", flat=True))
    assert len(errors) == 1
    assert errors.pop().in_english().startswith("Given up: " if fault == "death" else "OperationalError: ")


def test_what_an_emptied_redis_forgets_is_handed_out_again_by_the_sweep_task() -> None:
    crowd = gather(300)
    with worker(NIGHTLY_STUCK_SECONDS="1") as survivor:
        with hold(crowd.busy[60], crowd.busy[90]) as held:
            run = start_night(crowd)
            survivor.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
            empty_broker()
        assert_mid_run(run)
        bring_to_its_end(run, partial(current_app.send_task, "cronjobs.sweep"))

    assert_night_is_right(run, crowd)


def test_connections_that_the_database_ends_in_mid_run_lose_nothing() -> None:
    crowd = gather(300)
    with worker(NIGHTLY_RETRY_SECONDS="1") as fleet:
        with hold(crowd.busy[60], crowd.busy[90]) as held:
            run = start_night(crowd)
            for _ in range(2):  # in the batches, then alone
                fleet.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
                assert_mid_run(run)
                terminate(set(other_backends()) - {held.connection.info.backend_pid})
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_a_worker_killed_while_it_delivers_repeats_at_most_the_message_in_flight() -> None:
    crowd = gather(60)
    messages = Notification.objects.filter(channel=EMAIL)
    with mail_server() as post:
        post.after_data = lambda _address: SILENT if len(post.offered) == 5 else None
        with worker(EMAIL_URL=post.url, concurrency=1) as victim:
            run = start_night(crowd)
            victim.wait_until(lambda: is_closed(run), what="the end of the run")
            messages.update(next_attempt_at=timezone.now())  # the sending hours have come
            send_at_all_hours(crowd.organisation)
            sweep(now=timezone.now())
            victim.wait_until(lambda: len(post.received) == 5, what="a message taken and not yet noted as sent")
            victim.kill()
        post.release()
        assert messages.filter(status=Notification.Status.SENT).count() == 4
        messages.filter(status=Notification.Status.SENDING).update(next_attempt_at=timezone.now())  # the lease is over
        with worker(EMAIL_URL=post.url) as successor:
            sweep(now=timezone.now())
            successor.wait_until(
                lambda: not messages.exclude(status=Notification.Status.SENT).exists(), what="the end of the delivery"
            )

    assert_night_is_right(run, crowd)
    ids = [mail["Message-ID"] for mail in post.received]
    assert set(ids) == set(messages.values_list("message_id", flat=True))
    assert [id for id in set(ids) if ids.count(id) > 1] == [ids[4]]
    assert ids.count(ids[4]) == 2
