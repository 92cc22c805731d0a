"""The close of a night, and its books."""

from __future__ import annotations

import pytest

from cronjobs import nightly
from cronjobs.models import Run, RunItem
from mentors.models import Organisation
from tests.conftest import NOW, TODAY, Certify
from tests.cronjobs.conftest import Expired, claim
from tests.support.at_once import side_by_side
from tests.support.nights import noon, plan_night, run_night


def test_a_run_with_pending_items_is_not_closed(hlf: Organisation, expired: Expired) -> None:
    expired(1)
    run = plan_night(hlf, TODAY)

    assert nightly.close_run(run.pk, now=NOW) is False


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_just_being_planned_is_not_closed(hlf: Organisation, expired: Expired) -> None:
    expired(1)
    run = claim(hlf)

    _planned, closed = side_by_side(
        lambda: nightly.plan_run(run.pk, now=NOW), lambda: nightly.close_run(run.pk, now=NOW)
    )

    assert closed is False
    run.refresh_from_db()
    assert (run.status, run.items.get().status) == ("running", "pending")


def test_a_run_is_closed_once(hlf: Organisation) -> None:
    run = plan_night(hlf, TODAY)

    assert [nightly.close_run(run.pk, now=NOW) for _ in range(2)] == [True, False]


def test_a_closed_run_has_balanced_books(hlf: Organisation, expired: Expired, certify: Certify) -> None:
    renewed, *_others = expired(3)

    run = run_night(hlf, TODAY, in_between=lambda: certify(renewed, issued=0))

    assert run.counts["pause"] == {"planned": 3, "done": 2, "skipped": 1, "failed": 0}
    assert (run.status, run.error.in_english()) == ("succeeded", "")
    assert run.finished_at == noon(TODAY)


def test_books_that_do_not_balance_make_the_run_not_green(hlf: Organisation, expired: Expired) -> None:
    lost, *_others = expired(2)

    run = run_night(hlf, TODAY, in_between=lambda: RunItem.objects.filter(mentor=lost).delete())

    assert run.status == Run.Status.PARTIAL
    assert "do not balance: 2 planned to pause" in run.error.in_english()
