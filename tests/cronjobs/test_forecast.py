"""What a night is expected to do, and whether it did."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from uuid import uuid4

import pytest
from pytest_django import Settings

from certifications.models import Certification
from cronjobs.forecast import find_deviation, next_night, write_forecast
from cronjobs.ledger import count_due_items
from cronjobs.models import Action, CronJob, Forecast, Run, RunItem
from cronjobs.retry import retry_failed
from cronjobs.schedules.jobs import change_cron_job
from cronjobs.starting import schedule_nightly_run
from mentors.models import Mentor, Organisation
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.databases import rows_read
from tests.support.nights import noon, plan_night, run_night, work_night

pytestmark = pytest.mark.django_db
TOMORROW = TODAY + timedelta(days=1)
NOTHING = {"pause": 0, "resume": 0, "remind": 0}


def expected_of(day: date) -> dict[str, int]:
    return dict(Forecast.objects.get(business_date=day).expected)


def counts_of(run: Run) -> dict[str, int]:
    return {action: count["planned"] for action, count in run.counts.items()}


# Writing it.


def test_a_close_writes_what_becomes_due_on_the_next_night(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(), expires_in=0)  # lapses tomorrow
    certify(enrol(), expires_in=31)  # reaches the stage of 30 days tomorrow
    certify(enrol(), expires_in=8)  # is reminded at 14 days today, and at 7 tomorrow
    certify(enrol(), expires_in=20)  # is reminded at 30 days today, and not again tomorrow

    run_night(hlf, TODAY)

    assert expected_of(TOMORROW) == {"pause": 1, "resume": 0, "remind": 2}


def test_what_failed_or_was_rejected_is_expected_again(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(), expires_in=-1)
    run = plan_night(hlf, TODAY)
    run.items.update(status=RunItem.Status.FAILED)

    work_night(run)

    assert expected_of(TOMORROW) == NOTHING | {"pause": 1}


def test_a_night_on_which_nothing_came_between_does_exactly_what_was_expected(
    hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    random = Random(5)
    for mentor in [enrol() for _ in range(40)]:
        certify(mentor, expires_in=random.randint(-2, 50))
        if random.random() < 0.3:  # a renewal that begins after a gap
            begins = random.randint(1, 12)
            certify(mentor, issued=begins, expires_in=begins + random.randint(0, 30))
    run_night(hlf, TODAY, approved=True)

    for day in range(1, 15):
        run = run_night(hlf, TODAY + timedelta(days=day), approved=True)
        assert counts_of(run) == expected_of(run.business_date)

    assert sum(sum(forecast.expected.values()) for forecast in Forecast.objects.all()) > 40


def test_what_is_switched_off_is_not_expected(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    certify(enrol(), expires_in=0)
    Organisation.objects.update(auto_pause=False, reminder_days=[])
    hlf.refresh_from_db()

    run_night(hlf, TODAY)

    assert expected_of(TOMORROW) == NOTHING


def test_a_later_close_writes_over_an_earlier_one(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    run_night(hlf, TODAY)
    certify(enrol(), expires_in=0)

    run_night(hlf, TODAY)

    assert expected_of(TOMORROW) == NOTHING | {"pause": 1}


def test_counting_reads_no_more_than_planning(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    for number in range(100):
        certify(enrol(), expires_in=number - 20)
    begin = rows_read()
    for action in Action:
        count_due_items(organisation=hlf, action=action, on=TODAY, now=NOW)
    counted = rows_read() - begin

    begin = rows_read()
    plan_night(hlf, TODAY, approved=True)

    assert 0 < counted <= rows_read() - begin


# Which night it is.


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return schedule_nightly_run(organisation=hlf, now=NOW)


def test_the_next_night_is_that_of_the_next_slot(job: CronJob) -> None:
    change_cron_job(job, cron_expression="30 0 * * 1", now=NOW)  # Mondays; today is a Saturday

    run_night(job.organisation, TODAY)

    assert list(Forecast.objects.values_list("business_date", flat=True)) == [TODAY + timedelta(days=2)]


def test_a_slot_late_in_the_evening_is_of_the_day_that_it_is_there(job: CronJob) -> None:
    change_cron_job(job, cron_expression="30 23 * * *", timezone="America/New_York", now=NOW)  # 05:30 in Oslo

    run_night(job.organisation, TODAY)

    assert list(Forecast.objects.values_list("business_date", flat=True)) == [TOMORROW]


def test_the_soonest_job_that_is_switched_on_and_can_be_read_counts(job: CronJob, hlf: Organisation) -> None:
    change_cron_job(job, cron_expression="30 0 1 * *", now=NOW)
    schedule_nightly_run(organisation=hlf, now=NOW, name="off", enabled=False, pause_note="x")
    broken = schedule_nightly_run(organisation=hlf, now=NOW, name="broken")
    CronJob.objects.filter(pk=broken.pk).update(cron_expression="nonsense")

    run_night(hlf, TODAY)

    assert list(Forecast.objects.values_list("business_date", flat=True)) == [date(2026, 12, 1)]


def test_a_day_that_has_begun_keeps_its_forecast(job: CronJob, hlf: Organisation, enrol: Enrol) -> None:
    schedule_nightly_run(organisation=hlf, now=NOW, name="evening", cron_expression="0 20 * * *")
    Forecast.objects.create(organisation=hlf, business_date=TODAY, expected=NOTHING | {"pause": 40}, written_at=NOW)
    run_night(hlf, TODAY)

    run = run_night(hlf, TODAY - timedelta(days=3), now=NOW)  # made up by hand, before the evening's

    assert expected_of(TODAY)["pause"] == 40
    assert next_night(hlf, now=NOW) == TOMORROW
    assert run.deviation.in_english() == ""


def test_two_organisations_have_each_their_own(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    other = Organisation.objects.create(slug="other", name="Other")
    certify(enrol(), expires_in=0)

    run_night(hlf, TODAY)
    run_night(other, TODAY)

    assert [forecast.expected["pause"] for forecast in Forecast.objects.order_by("organisation")] == [1, 0]


# Comparing.


def a_day(mentor: Mentor, *, expected: int, planned: int, action: Action = Action.PAUSE) -> Run:
    """Return today's run, for which so many items were expected and so many planned."""
    run = plan_night(mentor.organisation, TODAY)
    expect(mentor.organisation, TODAY, {action: expected})
    RunItem.objects.bulk_create(
        RunItem(run=run, action=action, dedupe_key=str(uuid4()), mentor=mentor, status="done", at=NOW)
        for _ in range(planned)
    )
    return run


def expect(organisation: Organisation, day: date, expected: dict[Action, int], *, at: datetime = NOW) -> None:
    values = NOTHING | {action.value: count for action, count in expected.items()}
    Forecast.objects.create(organisation=organisation, business_date=day, expected=values, written_at=at)


@pytest.mark.parametrize(
    ("expected", "planned"),
    [(40, 0), (40, 1), (40, 9), (10, 0), (0, 41), (10, 41), (40, 161), (40, 400), (1000, 249)],
)
def test_what_no_ordinary_day_explains_is_said(mentor: Mentor, expected: int, planned: int) -> None:
    run = a_day(mentor, expected=expected, planned=planned)

    what = "pause" if planned == 1 else "pauses"
    assert find_deviation(run).in_english() == f"{planned} {what} where {expected} were expected"


@pytest.mark.parametrize(
    ("expected", "planned"),
    [(0, 0), (9, 0), (10, 1), (12, 3), (40, 10), (40, 40), (40, 160), (3, 12), (0, 40), (9, 40), (1000, 250)],
)
def test_what_renewals_and_late_entries_explain_is_not(mentor: Mentor, expected: int, planned: int) -> None:
    run = a_day(mentor, expected=expected, planned=planned)

    assert find_deviation(run).in_english() == ""


def test_what_counts_as_many_is_a_setting(mentor: Mentor, settings: Settings) -> None:
    run = a_day(mentor, expected=5, planned=0)

    settings.FORECAST_MINIMUM = 5

    assert find_deviation(run).in_english() == "0 pauses where 5 were expected"


def test_every_action_is_compared_by_itself(mentor: Mentor) -> None:
    run = a_day(mentor, expected=50, planned=500, action=Action.REMIND)
    Forecast.objects.update(expected={"pause": 40, "resume": 40, "remind": 50})

    assert find_deviation(run).in_english() == (
        "0 pauses where 40 were expected; 0 resumes where 40 were expected; 500 reminders where 50 were expected"
    )


def test_a_night_that_pauses_nobody_although_many_were_expected_says_so_on_its_run(
    hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    for _ in range(12):
        certify(enrol(), expires_in=0)
    run_night(hlf, TODAY)
    Certification.objects.all().delete()  # a roster that went wrong

    run = run_night(hlf, TOMORROW)

    assert run.status == Run.Status.SUCCEEDED
    assert run.deviation.in_english() == "0 pauses where 12 were expected"


def test_renewals_of_the_day_are_no_deviation(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    mentors = [enrol() for _ in range(12)]
    for mentor in mentors:
        certify(mentor, expires_in=0)
    run_night(hlf, TODAY)
    for mentor in mentors[:9]:
        certify(mentor)

    run = run_night(hlf, TOMORROW)

    assert (counts_of(run)["pause"], expected_of(TOMORROW)["pause"], run.deviation.in_english()) == (3, 12, "")


def test_what_a_second_run_takes_over_counts_once(
    hlf: Organisation, enrol: Enrol, certify: Certify, settings: Settings
) -> None:
    settings.FORECAST_MINIMUM = 1
    Organisation.objects.update(brake_percent=0, brake_minimum=1)
    hlf.refresh_from_db()
    for _ in range(5):
        certify(enrol(), expires_in=-1)
    expect(hlf, TODAY, {Action.PAUSE: 1})
    held = plan_night(hlf, TODAY)
    assert held.status == Run.Status.HELD

    run = run_night(hlf, TODAY, approved=True)

    held.refresh_from_db()
    assert [one.counts["pause"]["planned"] for one in (held, run)] == [5, 5]
    assert run.deviation.in_english() == "5 pauses where 1 were expected"


def test_a_retry_counts_once(hlf: Organisation, enrol: Enrol, certify: Certify, settings: Settings) -> None:
    settings.FORECAST_MINIMUM = 1
    for _ in range(3):
        certify(enrol(), expires_in=-1)
    expect(hlf, TODAY, {Action.PAUSE: 1})
    run = plan_night(hlf, TODAY)
    run.items.update(status=RunItem.Status.FAILED)
    work_night(run)

    retry_failed(run.pk, now=noon(TODAY))
    run = work_night(run)

    assert (run.counts["pause"]["done"], run.deviation.in_english()) == (3, "")


def test_a_run_for_some_actions_says_nothing(hlf: Organisation) -> None:
    expect(hlf, TODAY, {Action.PAUSE: 40})

    run = run_night(hlf, TODAY, actions=[Action.PAUSE, Action.RESUME])

    assert run.deviation.in_english() == ""


def test_a_run_that_was_never_planned_says_nothing(hlf: Organisation, job: CronJob) -> None:
    expect(hlf, TODAY, {Action.PAUSE: 40})
    missed = Run.objects.create(
        organisation=hlf, cron_job=job, scheduled_for=NOW, business_date=TODAY, trigger="schedule",
        actions=Action.values, status="missed", created_at=NOW, finished_at=NOW, code_version="test",
    )  # fmt: skip

    assert find_deviation(missed).in_english() == ""
    write_forecast(missed, now=NOW)
    assert expected_of(TOMORROW) == NOTHING


def test_a_night_of_which_nothing_was_expected_yet_says_nothing(
    hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    for _ in range(50):
        certify(enrol(), expires_in=-1)

    assert not run_night(hlf, TODAY, approved=True).deviation
