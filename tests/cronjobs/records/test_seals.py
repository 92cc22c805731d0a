"""The hash chain of closed runs, and the command that checks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from structlog.testing import capture_logs

from certifications.models import Certification
from cronjobs import nightly
from cronjobs.after_close import conclude
from cronjobs.models import Incident, Run, RunItem, Seal
from cronjobs.records.digests import digest_seal
from cronjobs.records.seals import seal
from cronjobs.records.verification import check_chain
from cronjobs.retry import retry_failed
from cronjobs.starting import schedule_nightly_run
from cronjobs.undo import undo_pauses
from mentors.models import Chapter, Mentor, Organisation, User
from mentors.record_text import verbatim
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.at_once import run_at_once
from tests.support.nights import noon, plan_night, run_night, work_night

pytestmark = pytest.mark.django_db
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def due(enrol: Enrol, certify: Certify) -> list[Mentor]:
    """Three mentors: two are to be paused, one is to be reminded."""
    mentors = [enrol() for _ in range(3)]
    for mentor, days in zip(mentors, (-1, -2, 7), strict=True):
        certify(mentor, expires_in=days)
    return mentors


@pytest.fixture
def nights(hlf: Organisation, due: list[Mentor]) -> list[Run]:
    """Three nights, the first with three items."""
    return [run_night(hlf, TODAY + timedelta(days=days)) for days in range(3)]


def numbers(organisation: Organisation) -> list[int]:
    return list(Seal.objects.filter(organisation=organisation).values_list("number", flat=True))


def faults(organisation: Organisation, *noted: str) -> list[str]:
    return check_chain(organisation, noted=noted).faults


# Sealing.


def test_each_closed_run_is_a_link_behind_the_one_before(hlf: Organisation, nights: list[Run]) -> None:
    first, second, third = Seal.objects.order_by("number")

    assert [one.run_id for one in (first, second, third)] == [run.pk for run in nights]
    assert [one.items for one in (first, second, third)] == [3, 0, 0]
    assert third.digest == digest_seal(second.digest, vars(third))
    assert second.digest == digest_seal(first.digest, vars(second))
    assert first.digest == digest_seal("", vars(first))


def test_organisations_have_each_their_own_chain(hlf: Organisation, elsewhere: Chapter) -> None:
    other = elsewhere.organisation
    for organisation in (hlf, other, hlf):
        run_night(organisation, TODAY)

    assert (numbers(hlf), numbers(other)) == ([1, 2], [1])


def test_what_is_sealed_as_it_is_gets_no_second_seal(hlf: Organisation, nights: list[Run]) -> None:
    run = Run.objects.select_related("organisation").get(pk=nights[0].pk)

    seal(run, now=NOW)
    conclude(run.pk, now=NOW)

    assert numbers(hlf) == [1, 2, 3]


def test_a_run_that_was_tried_again_is_sealed_again(hlf: Organisation, due: list[Mentor]) -> None:
    run = plan_night(hlf, TODAY)
    run.items.filter(mentor=due[0]).update(status=RunItem.Status.FAILED, error=verbatim("x"))
    work_night(run)
    reopened = retry_failed(run.pk, now=noon(TODAY))
    while_open = check_chain(hlf)

    work_night(reopened)

    assert (while_open.faults, while_open.notes) == ([], [f"run {run.pk} of {TODAY} was opened again since seal 1"])
    assert list(Seal.objects.values_list("run_id", "items")) == [(run.pk, 3), (run.pk, 3)]
    report = check_chain(hlf)
    assert (report.faults, report.notes) == ([], [f"run {run.pk} was sealed 2 times, as one that is tried again"])


def test_the_digest_leaves_with_the_log(hlf: Organisation) -> None:
    with capture_logs() as logs:
        run = run_night(hlf, TODAY)

    [sealed] = [entry for entry in logs if entry.get("event_name") == "run_sealed"]
    assert (sealed["run_id"], sealed["digest"]) == (str(run.pk), Seal.objects.get().digest)


def test_a_seal_is_never_changed_and_never_removed(nights: list[Run]) -> None:
    for tamper in (lambda: Seal.objects.update(items=9), lambda: Seal.objects.all().delete()):
        with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
            tamper()


@pytest.mark.django_db(transaction=True)
def test_runs_sealed_at_the_same_moment_get_numbers_without_a_gap(hlf: Organisation) -> None:
    runs = [
        Run.objects.create(
            organisation=hlf, business_date=TODAY, trigger="manual", actions=[], status="succeeded", created_at=NOW,
            started_at=NOW, finished_at=NOW, code_version="test",
        )
        for _ in range(8)
    ]  # fmt: skip

    def concluding(run: Run) -> Callable[[], None]:
        return lambda: conclude(run.pk, now=NOW)

    results = run_at_once(*(concluding(run) for run in runs), *(concluding(run) for run in runs))

    assert results == [None] * 16
    assert numbers(hlf) == list(range(1, 9))
    assert faults(hlf) == []


# What may happen to a closed run.


def test_what_changes_by_right_leaves_the_seals_in_order(hlf: Organisation, due: list[Mentor], olav: User) -> None:
    job = schedule_nightly_run(organisation=hlf, now=NOW)
    run = run_night(hlf, TODAY, cron_job=job)
    undo_pauses(run.pk, reason="wrong dates", actor=olav, now=NOW)
    Certification.objects.all().delete()
    Mentor.objects.update(name="Someone Else", phone="")
    Organisation.objects.update(slug="new", name="New")
    job.delete()

    report = check_chain(hlf)

    assert (report.faults, report.notes, report.runs, report.items) == ([], [], 1, 3)


def test_a_held_run_that_was_rejected_or_approved_is_in_order(hlf: Organisation, due: list[Mentor]) -> None:
    Organisation.objects.update(brake_percent=0, brake_minimum=1)
    hlf.refresh_from_db()
    rejected = plan_night(hlf, TODAY)
    nightly.reject_run(rejected.pk, by="olav", reason="wrong", now=NOW)
    approved = work_night(plan_night(hlf, TOMORROW))

    work_night(nightly.approve_run(approved.pk, by="olav"))

    assert numbers(hlf) == [1, 2]
    assert faults(hlf) == []


# What may not.


def change_item(run: Run) -> None:
    run.items.filter(action="pause").update(outcome=verbatim("nothing was done"))


def date_item_back(run: Run) -> None:
    run.items.update(at=NOW - timedelta(seconds=1))


def change_run(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(requested_by="somebody")


def recount(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(counts=run.counts | {"pause": {"planned": 0}})


def remove_item(run: Run) -> None:
    run.items.all()[0].delete()


def add_item(run: Run) -> None:
    item = run.items.all()[0]
    RunItem.objects.create(run=run, action=item.action, mentor=item.mentor, dedupe_key="pause:0:0", at=item.at)


def remove_run(run: Run) -> None:
    run.items.all().delete()
    run.delete()


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (change_item, "run {run} of 2026-11-21 was changed since seal 1"),
        (date_item_back, "run {run} of 2026-11-21 was changed since seal 1"),
        (change_run, "run {run} of 2026-11-21 was changed since seal 1"),
        (recount, "run {run} of 2026-11-21 was changed since seal 1"),
        (remove_item, "run {run} of 2026-11-21 has 1 items fewer since seal 1"),
        (add_item, "run {run} of 2026-11-21 has 1 items more since seal 1"),
        (remove_run, "run {run} is gone, and was not pruned (seal 1)"),
    ],
)
def test_a_run_that_was_tampered_with_is_found(
    hlf: Organisation, nights: list[Run], tamper: Callable[[Run], None], fault: str
) -> None:
    fault = fault.format(run=nights[0].pk)

    tamper(nights[0])

    assert faults(hlf) == [fault]


def test_a_run_that_was_put_in_is_found(hlf: Organisation, nights: list[Run]) -> None:
    run = Run.objects.get(pk=nights[2].pk)
    run.pk = Run().pk
    run.save(force_insert=True)

    assert faults(hlf) == [f"run {run.pk} of {run.business_date} has no seal"]


def test_runs_of_before_the_chain_began_are_no_fault(hlf: Organisation, nights: list[Run]) -> None:
    run = Run.objects.get(pk=nights[0].pk)
    run.pk, run.concluded_at = Run().pk, NOW - timedelta(days=400)
    run.save(force_insert=True)

    report = check_chain(hlf)

    assert (report.faults, report.notes) == ([], ["1 runs are not sealed: they were closed before the chain began"])


def at_seals(change: Callable[[Any], object]) -> None:
    """Change seals as somebody who may switch off the trigger."""
    with pgtrigger.ignore("cronjobs.Seal:append_only"):
        change(Seal.objects.all())


def test_a_seal_that_was_changed_is_found(hlf: Organisation, nights: list[Run]) -> None:
    at_seals(lambda seals: seals.filter(number=2).update(at=NOW + timedelta(days=9)))

    assert faults(hlf) == ["seal 2 was changed, or the one before it"]


def test_a_seal_that_was_forged_for_a_changed_run_breaks_the_chain(hlf: Organisation, nights: list[Run]) -> None:
    second = Seal.objects.get(number=2)
    second.record_digest = "0" * 64
    forged = digest_seal(Seal.objects.get(number=1).digest, vars(second))

    at_seals(lambda seals: seals.filter(number=2).update(record_digest="0" * 64, digest=forged))

    assert faults(hlf) == [
        "seal 3 was changed, or the one before it",
        f"run {nights[1].pk} of {TOMORROW} was changed since seal 2",
    ]


def test_seals_that_were_removed_are_found(hlf: Organisation, nights: list[Run]) -> None:
    at_seals(lambda seals: seals.filter(number__lte=2).delete())

    assert faults(hlf) == ["seals 1 to 2 are missing"]


def test_the_newest_seal_is_missed_by_its_run(hlf: Organisation, nights: list[Run]) -> None:
    at_seals(lambda seals: seals.filter(number=3).delete())

    assert faults(hlf) == [f"run {nights[2].pk} of {nights[2].business_date} has no seal"]


def test_a_chain_that_was_built_anew_lacks_the_digest_that_was_noted_down(hlf: Organisation, nights: list[Run]) -> None:
    noted = Seal.objects.get(number=3).digest
    change_item(nights[0])
    at_seals(lambda seals: seals.delete())
    for run in Run.objects.select_related("organisation").order_by("business_date"):
        seal(run, now=NOW)

    assert faults(hlf) == []
    assert faults(hlf, noted) == [f"no seal has the digest {noted}, which was noted down"]


def test_a_digest_that_was_noted_down_is_still_there(hlf: Organisation, nights: list[Run]) -> None:
    noted = Seal.objects.get(number=1).digest

    assert faults(hlf, noted) == []


# The command.


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_records", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_checks_every_organisation(hlf: Organisation, elsewhere: Chapter, nights: list[Run]) -> None:
    assert verify().splitlines() == ["hlf: 3 runs with 3 items, in order", "other: 0 runs with 0 items, in order"]
    assert verify("--organisation", "other").splitlines() == ["other: 0 runs with 0 items, in order"]


def test_the_command_fails_and_says_what_does_not_agree(hlf: Organisation, nights: list[Run]) -> None:
    change_item(nights[0])
    out = StringIO()

    with pytest.raises(CommandError, match="1 thing does not agree") as failed:
        call_command("verify_records", stdout=out)

    assert failed.value.returncode == 1
    assert out.getvalue().splitlines() == [
        "hlf: 3 runs with 3 items, does not agree",
        f"  run {nights[0].pk} of {TODAY} was changed since seal 1",
    ]


def test_as_json_it_is_one_document(hlf: Organisation, nights: list[Run]) -> None:
    digest = Seal.objects.get(number=2).digest

    document = json.loads(verify("--format", "json", "--organisation", "hlf", "--digest", digest))

    assert document == {
        "agrees": True,
        "checked": [{"what": "hlf", "runs": 3, "items": 3, "faults": [], "notes": []}],
    }


@pytest.mark.parametrize("arguments", [("--digest", "x"), ("--organisation", "hlf", "file"), ("--alert", "file")])
def test_what_makes_no_sense_together_is_wrong_usage(hlf: Organisation, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refused:
        verify(*arguments)

    assert refused.value.returncode == 2


def test_operations_are_told_if_they_are_to_be(hlf: Organisation, nights: list[Run]) -> None:
    change_item(nights[0])

    with pytest.raises(CommandError, match="1 thing does not agree"):
        verify("--alert")

    assert Incident.objects.get().key == "records:hlf"
