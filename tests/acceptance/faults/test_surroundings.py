"""A row that the database refuses, a mail server that does, and no Redis at all.

Each test makes a crowd of which it knows what the night must do to whom, breaks something at a moment that it has
made sure of (a lock holds the worker inside a batch), lets the run come to its end by itself or by the sweep, and
then asks `assert_night_is_right`.
"""

from __future__ import annotations

import pytest
from django.utils import timezone

from cronjobs.models import Run
from cronjobs.sweep import sweep
from notifications.channels import EMAIL
from notifications.models import Notification
from tests.support.breaking import (
    bring_to_its_end,
    broken_row,
    is_closed,
    only_run,
    run_command,
    start_night,
)
from tests.support.crowd import (
    LAPSED_AND_DUE,
    assert_night_is_right,
    gather,
    send_at_all_hours,
)
from tests.support.mail import always, mail_server
from tests.support.processes import (
    free_port,
    worker,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]


def test_a_broken_row_fails_alone_and_is_done_by_the_next_run() -> None:
    crowd = gather(60)
    broken = next(person.pk for person in crowd.people if person.fate is LAPSED_AND_DUE)
    with worker(NIGHTLY_RETRY_SECONDS="1", NIGHTLY_MAX_ATTEMPTS="2"):
        with broken_row(broken):
            first = run_command()
        after_the_first = Run.objects.get(pk=first.run["id"])
        assert_night_is_right(after_the_first, crowd, failed=[broken])
        second = run_command()

    assert (first.code, len(first.complaints)) == (1, 1)
    assert "2 items failed" in first.complaints[0]
    failed = after_the_first.items.filter(mentor=broken)
    assert ["broken on purpose" in item.error.in_english() and item.attempts == 2 for item in failed] == [True, True]
    assert (second.code, second.complaints) == (0, [])
    assert_night_is_right(Run.objects.get(pk=second.run["id"]), crowd.only([broken]))


def test_a_mail_server_that_refuses_everything_undoes_nothing() -> None:
    crowd = gather(60)
    send_at_all_hours(crowd.organisation)
    messages = Notification.objects.filter(channel=EMAIL)
    undelivered = messages.filter(status__in=["queued", "sending"])
    with (
        mail_server(after_data=always("451 no")) as post,
        worker(EMAIL_URL=post.url, DELIVERY_MAX_ATTEMPTS="2", DELIVERY_RETRY_SECONDS="1") as fleet,
    ):
        run = start_night(crowd)
        fleet.wait_until(lambda: is_closed(run), what="the end of the run")

        def swept_away() -> bool:
            sweep(now=timezone.now())
            return not undelivered.exists()

        fleet.wait_until(swept_away, what="the end of all attempts")

    assert_night_is_right(run, crowd)
    assert {(row.status, row.attempts, row.error.in_english()) for row in messages} == {
        ("failed", 2, "Given up after 2 attempts: 451 no")
    }
    assert messages.count() == sum(person.is_told for person in crowd.people) + 3


def test_without_redis_the_run_waits_for_a_person_or_for_the_sweep() -> None:
    crowd = gather(60)
    nowhere = f"redis://127.0.0.1:{free_port()}/0"

    refused = run_command(REDIS_URL=nowhere)
    run = only_run(crowd)

    assert (refused.code, refused.stdout, len(refused.complaints)) == (1, "", 1)
    assert "Redis does not answer" in refused.complaints[0]
    assert (run.is_open, run.items.pending().count()) == (True, sum(len(person.keys) for person in crowd.people))

    inline = run_command("--inline", REDIS_URL=nowhere)

    assert (inline.code, inline.complaints) == (0, [])
    assert_night_is_right(run, crowd)

    mended = gather(60, slug="nfu")
    refused = run_command("--organisation=nfu", REDIS_URL=nowhere)
    run = only_run(mended)
    assert (refused.code, run.is_open) == (1, True)
    with worker():
        bring_to_its_end(run)

    assert_night_is_right(run, mended)
