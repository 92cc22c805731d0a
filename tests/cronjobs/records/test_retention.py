"""How long records are kept, and what is left of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings
from rest_framework.test import APIClient

from certifications.models import Certification
from cronjobs import nightly, sweep
from cronjobs.models import CronJob, Forecast, Incident, Outage, Run, RunItem, RunSummary, Seal
from cronjobs.monitoring.problems import last_nights
from cronjobs.records import retention
from cronjobs.records.verification import check_chain
from cronjobs.starting import schedule_nightly_run
from cronjobs.tasks import prune as prune_task
from cronjobs.undo import undo_pauses
from mentors.models import Chapter, Mentor, Organisation, StatusChange, User
from mentors.record_text import EMPTY, verbatim
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.at_once import run_at_once
from tests.support.nights import noon, outcomes, plan_night, run_night, work_night

pytestmark = pytest.mark.django_db
LONG_AGO = date(2021, 10, 20)  # 5 years and a month before today


@pytest.fixture
def due(enrol: Enrol, certify: Certify) -> list[Mentor]:
    """Three mentors of long ago: two were to be paused, one to be reminded."""
    mentors = [enrol() for _ in range(3)]
    for mentor, days in zip(mentors, (-1, -2, 7), strict=True):
        issued_on, expires_on = LONG_AGO - timedelta(days=400), LONG_AGO + timedelta(days=days)
        certify(mentor, issued_on=issued_on, expires_on=expires_on)
    return mentors


@pytest.fixture
def old(hlf: Organisation, due: list[Mentor]) -> Run:
    return run_night(hlf, LONG_AGO)


def summaries() -> list[tuple[date, dict[str, int], dict[str, dict[str, int]]]]:
    return list(RunSummary.objects.values_list("month", "runs", "counts"))


# What goes, and what is left.


def test_old_runs_go_and_their_sums_and_seals_are_left(hlf: Organisation, old: Run) -> None:
    run_night(hlf, LONG_AGO + timedelta(days=1))
    recent = run_night(hlf, TODAY)

    assert retention.prune(now=NOW) == 2

    assert list(Run.objects.all()) == [recent]
    assert set(RunItem.objects.values_list("run", flat=True)) <= {recent.pk}
    assert summaries() == [(date(2021, 10, 1), {"succeeded": 2}, {"pause": {"done": 2}, "remind": {"done": 1}})]
    assert Seal.objects.filter(run_id=old.pk).count() == 2
    assert check_chain(hlf).faults == []


def test_months_are_pruned_whole(hlf: Organisation) -> None:
    for day in (date(2021, 9, 30), date(2021, 10, 31), date(2021, 11, 1), date(2021, 11, 21)):
        run_night(hlf, day)

    retention.prune(now=NOW)

    kept = Run.objects.order_by("business_date").values_list("business_date", flat=True)
    assert list(kept) == [date(2021, 11, 1), date(2021, 11, 21)]
    assert [month for month, *_ in summaries()] == [date(2021, 9, 1), date(2021, 10, 1)]


def test_the_years_are_a_setting(hlf: Organisation, old: Run, settings: Settings) -> None:
    settings.RECORDS_YEARS = 6

    assert retention.prune(now=NOW) == 0


def test_nothing_is_left_to_do_the_second_time(hlf: Organisation, old: Run) -> None:
    retention.prune(now=NOW)
    left = summaries()

    assert retention.prune(now=NOW) == 0
    assert summaries() == left
    assert Seal.objects.count() == 2


def test_what_comes_later_is_added_to_the_month(hlf: Organisation, old: Run) -> None:
    retention.prune(now=NOW)
    late = run_night(Organisation.objects.create(slug="other", name="Other"), LONG_AGO)
    Run.objects.filter(pk=late.pk).update(organisation=hlf)

    retention.prune(now=NOW)

    [(_month, runs, counts)] = summaries()
    assert (runs, counts["pause"]) == ({"succeeded": 2}, {"done": 2})


def test_every_organisation_has_its_own_sums(hlf: Organisation, old: Run, elsewhere: Chapter) -> None:
    run_night(elsewhere.organisation, LONG_AGO)

    retention.prune(now=NOW)

    assert [(one.organisation.slug, one.counts) for one in RunSummary.objects.all()] == [
        ("hlf", {"pause": {"done": 2}, "remind": {"done": 1}}),
        ("other", {}),
    ]


def test_dry_runs_go_too_and_leave_no_seal(hlf: Organisation, old: Run) -> None:
    Run.objects.filter(pk=old.pk).update(dry_run=True, concluded_at=None)

    retention.prune(now=NOW)

    assert [runs for _month, runs, _counts in summaries()] == [{"dry_run": 1}]
    assert Seal.objects.filter(run_id=old.pk).count() == 1


@pytest.mark.parametrize(
    "values",
    [{"status": "running", "finished_at": None, "concluded_at": None}, {"concluded_at": None}],
    ids=["open", "not concluded"],
)
def test_what_is_not_done_with_stays(old: Run, values: dict[str, Any]) -> None:
    Run.objects.filter(pk=old.pk).update(**values)

    assert retention.prune(now=NOW) == 0
    assert old.items.count() == 3


def test_what_the_watch_kept_of_that_time_goes_too(hlf: Organisation) -> None:
    then, since = datetime(2021, 10, 31, tzinfo=UTC), datetime(2021, 11, 1, tzinfo=UTC)
    for at in (then, since):
        Outage.objects.create(component="beat", from_at=at - timedelta(hours=1), until_at=at)
        Forecast.objects.create(organisation=hlf, business_date=at.date(), expected={}, written_at=at)
        ended = Incident.objects.create(
            kind="test", key=f"{at}", title=verbatim("x"), began_at=then, seen_at=then, ended_at=at, cleared_at=at
        )
        ended.alerts.create(event="raised", route="mail", at=at)
    Incident.objects.create(kind="test", key="open", title=verbatim("x"), began_at=then, seen_at=then)

    retention.prune(now=NOW)

    assert [one.until_at for one in Outage.objects.all()] == [since]
    assert [one.business_date for one in Forecast.objects.all()] == [since.date()]
    assert {(one.key, one.alerts.count()) for one in Incident.objects.all()} == {(f"{since}", 1), ("open", 0)}


# By when it happened.


def test_a_run_of_today_for_a_day_of_long_ago_stays_with_its_undo(
    hlf: Organisation, due: list[Mentor], olav: User
) -> None:
    run = run_night(hlf, LONG_AGO, now=NOW)

    assert retention.prune(now=NOW) == 0
    assert len(undo_pauses(run.pk, reason="wrong dates", actor=olav, now=NOW)) == 2


def test_the_month_of_the_sums_is_when_the_run_was_closed(hlf: Organisation) -> None:
    run_night(hlf, LONG_AGO - timedelta(days=60), now=noon(LONG_AGO))

    retention.prune(now=NOW)

    assert [month for month, *_ in summaries()] == [LONG_AGO.replace(day=1)]


def test_a_run_that_was_retried_lately_stays(old: Run) -> None:
    Run.objects.filter(pk=old.pk).update(started_at=NOW, finished_at=NOW, concluded_at=NOW)

    assert retention.prune(now=NOW) == 0


def test_a_forecast_goes_by_when_it_was_written(hlf: Organisation) -> None:
    Forecast.objects.create(organisation=hlf, business_date=LONG_AGO, expected={}, written_at=NOW)

    retention.prune(now=NOW)

    assert Forecast.objects.exists()


def beyond_now(hlf: Organisation) -> Run:
    """A run of long ago of which one time lies beyond now."""
    run = run_night(hlf, LONG_AGO)
    Run.objects.filter(pk=run.pk).update(created_at=NOW + timedelta(days=1))
    return run


def sealed_after_what_is_kept(hlf: Organisation) -> Run:
    """A run that says that it is of long ago, and was sealed after one of today."""
    run_night(hlf, TODAY, now=NOW)
    return run_night(hlf, LONG_AGO)


WRONG_CLOCKS = pytest.mark.parametrize("write", [beyond_now, sealed_after_what_is_kept])


@WRONG_CLOCKS
def test_what_a_wrong_clock_wrote_is_kept_and_said(hlf: Organisation, write: Callable[[Organisation], Run]) -> None:
    run = write(hlf)

    with pytest.raises(CommandError) as said:
        prune()

    assert Run.objects.filter(pk=run.pk).exists()
    assert str(said.value) == f"1 run is kept, because a clock was wrong when it was written: {run.pk}."
    assert said.value.returncode == 1


@WRONG_CLOCKS
def test_the_daily_task_prunes_the_others_and_logs_it(
    hlf: Organisation, elsewhere: Chapter, write: Callable[[Organisation], Run], caplog: pytest.LogCaptureFixture
) -> None:
    run_night(elsewhere.organisation, LONG_AGO)
    run = write(hlf)

    prune_task()

    [logged] = [r.msg for r in caplog.records if isinstance(r.msg, dict) and r.msg["event_name"] == "records_doubtful"]
    assert (logged["level"], logged["runs"]) == ("error", [str(run.pk)])
    assert not Run.objects.filter(organisation=elsewhere.organisation).exists()


# A little at a time.


def test_a_large_run_goes_in_lots_and_is_counted_once(
    hlf: Organisation, old: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    lots: list[int] = []

    retention.prune(now=NOW, on_progress=lots.append)

    assert lots == [2, 1]
    assert summaries() == [(date(2021, 10, 1), {"succeeded": 1}, {"pause": {"done": 2}, "remind": {"done": 1}})]


def test_stopped_at_any_lot_it_loses_nothing_and_goes_on_the_next_time(
    hlf: Organisation, old: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 1)

    sums = Run.objects.get(pk=old.pk).counts
    for items_left in (2, 1, 0):
        with pytest.raises(KeyboardInterrupt):
            retention.prune(now=NOW, on_progress=stop)
        assert RunItem.objects.count() == items_left
        assert (Run.objects.get(pk=old.pk).counts, summaries()) == (sums, [])  # in one of the two, never in both
        assert check_chain(hlf).faults == []
    retention.prune(now=NOW)

    assert summaries() == [(date(2021, 10, 1), {"succeeded": 1}, {"pause": {"done": 2}, "remind": {"done": 1}})]
    assert list(Seal.objects.values_list("items", flat=True)) == [3, 0]


def stop(_items: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.django_db(transaction=True)
def test_two_at_once_count_nothing_twice(hlf: Organisation, old: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 1)

    results = run_at_once(*[lambda: retention.prune(now=NOW)] * 4)
    retention.prune(now=NOW)

    assert not [result for result in results if isinstance(result, Exception)]
    assert summaries() == [(date(2021, 10, 1), {"succeeded": 1}, {"pause": {"done": 2}, "remind": {"done": 1}})]
    assert (Run.objects.count(), RunItem.objects.count()) == (0, 0)
    assert check_chain(hlf).faults == []


# Nothing acts twice.


def test_who_was_paused_then_and_still_is_is_neither_paused_nor_told_again(
    hlf: Organisation, due: list[Mentor], old: Run
) -> None:
    retention.prune(now=NOW)

    run = run_night(hlf, TODAY)

    assert outcomes(run) == [("pause", "M3", "done", "paused")]  # who was reminded then, and was never paused
    assert StatusChange.objects.filter(mentor=due[0]).count() == 1


def test_who_was_resumed_then_is_not_resumed_again(hlf: Organisation, due: list[Mentor], old: Run) -> None:
    issued_on = LONG_AGO + timedelta(days=2)
    Certification.objects.filter(mentor=due[0]).update(issued_on=issued_on, expires_on=None)
    run_night(hlf, LONG_AGO + timedelta(days=2))
    assert Mentor.objects.get(pk=due[0].pk).status == Mentor.Status.ACTIVE
    retention.prune(now=NOW)

    run = run_night(hlf, TODAY)

    assert ("resume", "M1") not in [outcome[:2] for outcome in outcomes(run)]
    assert StatusChange.objects.filter(mentor=due[0]).count() == 2


def test_a_reminder_of_then_cannot_be_sent_again_by_a_run_for_that_time(hlf: Organisation, old: Run) -> None:
    """Its item is gone, and the certification is still there: a run for such a day is refused."""
    retention.prune(now=NOW)

    for day in (LONG_AGO, LONG_AGO + timedelta(days=7), date(2022, 11, 1)):
        with pytest.raises(ValidationError, match="too long ago"):
            nightly.claim_run(organisation=hlf, business_date=day, trigger=Run.Trigger.MANUAL, now=NOW)
    assert run_night(hlf, date(2022, 11, 2), now=NOW).status == Run.Status.SUCCEEDED


def test_the_longest_stage_that_can_be_open_is_known_still(
    hlf: Organisation, enrol: Enrol, certify: Certify, settings: Settings
) -> None:
    """As short as records may be kept, and as long before as may be reminded."""
    settings.RECORDS_YEARS = 2
    Organisation.objects.update(reminder_days=[366])
    hlf.refresh_from_db()
    sent_on = date(2024, 10, 31)
    certify(enrol(), issued_on=date(2024, 1, 1), expires_on=sent_on + timedelta(days=366))
    run_night(hlf, sent_on)
    assert RunItem.objects.get().stage == 366

    retention.prune(now=NOW)

    with pytest.raises(ValidationError, match="too long ago"):
        plan_night(hlf, sent_on + timedelta(days=366))
    assert run_night(hlf, TODAY).counts["remind"]["planned"] == 0


def test_the_command_says_that_the_day_is_pruned(hlf: Organisation, old: Run) -> None:
    retention.prune(now=NOW)

    with pytest.raises(CommandError, match="2021-10-20 is too long ago"):
        call_command("nightly", "--organisation", "hlf", "--date", str(LONG_AGO), "--inline")


# Nothing is missed, and nothing breaks.


def test_the_newest_slot_of_a_job_keeps_its_run(hlf: Organisation, settings: Settings) -> None:
    """A job of 29 February: without its run of then the slot would be missed once more, and reported."""
    settings.RECORDS_YEARS = 2
    slots = [datetime(year, 2, 28, 23, 30, tzinfo=UTC) for year in (2016, 2020)]
    job = schedule_nightly_run(organisation=hlf, now=slots[0] - timedelta(days=1), cron_expression="30 0 29 2 *")
    for slot in slots:
        slot_run(job, slot)
    now = datetime(2023, 6, 1, tzinfo=UTC)

    retention.prune(now=now)

    assert list(Run.objects.values_list("scheduled_for", flat=True)) == [slots[1]]
    sweep.make_up_missed_slots(job, now=now)
    assert Run.objects.count() == 1
    assert [night.fault for night in last_nights(now=now)] == [EMPTY]


def slot_run(job: CronJob, slot: datetime) -> Run:
    run = nightly.claim_run(
        organisation=job.organisation,
        cron_job=job,
        scheduled_for=slot,
        business_date=job.organisation.local_date(slot),
        trigger=Run.Trigger.SCHEDULE,
        now=slot,
    )
    return work_night(nightly.plan_run(run.pk, now=slot), now=slot)


def test_the_undoing_of_a_pruned_run_finds_nothing(api: Api, olav: User, old: Run) -> None:
    retention.prune(now=NOW)
    client: APIClient = api(olav)

    for answer in (
        client.post(f"/api/v1/runs/{old.pk}/undo", {"reason": "wrong dates"}),
        client.post(f"/api/v1/runs/{old.pk}/retry"),
        client.get(f"/api/v1/runs/{old.pk}"),
        client.get(f"/api/v1/runs/{old.pk}/export"),
    ):
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "not_found")
    assert client.get(f"/api/v1/mentors/{Mentor.objects.all()[0].pk}/timeline").status_code == 200


def test_beat_prunes_once_a_day(old: Run) -> None:
    entry = PeriodicTask.objects.get(name="prune")

    prune_task()

    assert (entry.task, entry.enabled, str(entry.interval)) == ("cronjobs.prune", True, "every day")
    assert not Run.objects.exists()


# The command.


def prune(*arguments: str) -> str:
    out = StringIO()
    call_command("prune_records", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_removes_by_month(elsewhere: Chapter, old: Run) -> None:
    run_night(elsewhere.organisation, LONG_AGO - timedelta(days=30))

    shown = prune("--dry-run")

    assert shown.splitlines() == [
        "hlf 2021-10: 1 run with 3 items would be removed",
        "other 2021-09: 1 run with 0 items would be removed",
    ]
    assert Run.objects.count() == 2
    assert prune() == shown.replace("would be removed", "removed")
    assert not Run.objects.exists()
    assert prune().startswith("Nothing is older than ")


def test_the_command_says_it_as_json(hlf: Organisation, old: Run) -> None:
    document = json.loads(prune("--dry-run", "--format", "json"))

    month = {"organisation": "hlf", "month": "2021-10-01", "runs": 1, "items": 3}
    assert (document["dry_run"], document["months"]) == (True, [month])
