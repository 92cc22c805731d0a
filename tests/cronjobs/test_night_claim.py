"""The claim of a night (docs/rules.md, one night): one open run an organisation, one run a slot."""

from __future__ import annotations

import pytest

from cronjobs import nightly
from cronjobs.models import Action, CronJob, Run
from mentors.models import Organisation
from tests.conftest import NOW, TODAY
from tests.cronjobs.conftest import Expired, claim, claim_slot
from tests.support.at_once import run_at_once
from tests.support.nights import plan_night, run_night


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
