"""The plan of a night: what is due, under which keys, and what a dry run shows of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import IntegrityError

from certifications.models import CertificationType
from cronjobs import nightly
from cronjobs.ledger import DueItem, show_due_items
from cronjobs.models import Action, Run
from mentors.models import Mentor, Organisation, StatusChange, User
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.cronjobs.conftest import Expired, change_by_hand, claim
from tests.support.databases import alter
from tests.support.nights import outcomes, plan_night, run_night

TOMORROW = TODAY + timedelta(days=1)


def keys(run: Run) -> list[str]:
    return list(run.items.order_by("dedupe_key").values_list("dedupe_key", flat=True))


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
    assert run.error.in_english().startswith("IntegrityError: ")
    assert not run.items.exists()


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
    hlf: Organisation, kari: User, secrecy: CertificationType, enrol: Enrol, expired: Expired, certify: Certify
) -> None:
    first, *_others = expired(3)
    certify(first, type=secrecy, expires_in=7)
    certify(enrol(), expires_in=30)
    renewed = enrol()
    certify(renewed)
    change_by_hand(renewed, "active", "paused", "certification_expired")
    before = count_rows()

    shown = show_due_items(organisation=hlf, actions=nightly.ALL_ACTIONS, on=TODAY, now=NOW)

    assert count_rows() == before
    assert len(shown) == 6
    assert as_shown(shown) == as_due(run_night(hlf, TODAY))
    assert show_due_items(organisation=hlf, actions=nightly.ALL_ACTIONS, on=TODAY, now=NOW) == []


def test_a_dry_run_shows_a_coming_day(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certify(mentor, expires_in=0)

    items = show_due_items(organisation=hlf, actions=[Action.PAUSE], on=TOMORROW, now=NOW)

    assert [(item.action, item.mentor_ref, item.mentor_name) for item in items] == [("pause", "M0", "Liv Moe")]
