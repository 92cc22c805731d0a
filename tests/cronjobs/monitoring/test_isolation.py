"""One value that nobody can reckon with stops its own job, organisation or row, and is told; all others go on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import CharField, Value
from django.test import Client
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from time_machine import Traveller

from cronjobs import record_text, sweep
from cronjobs.models import CronJob, Incident, Run
from cronjobs.monitoring import alert_text, incidents, problems
from cronjobs.monitoring.problems import find_problems, last_nights
from cronjobs.schedules.jobs import create_cron_job
from cronjobs.starting import schedule_nightly_run
from cronjobs.tasks import sweep_up
from mentors.models import Chapter, Organisation
from mentors.record_text import verbatim
from tests.cronjobs.conftest import SLOT, Expired, run_of, subjects
from tests.cronjobs.monitoring.test_check_nightly import check
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("empty_queues"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise
]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LOST = "Europe/Kyiv_Oblast"  # a name that was in tzdata once, for all that the database knows


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - 48 * HOUR)


@pytest.fixture
def lost(elsewhere: Chapter) -> CronJob:
    """The job of another organisation, whose time zone tzdata no longer knows."""
    job = create_cron_job(organisation=elsewhere.organisation, name="nightly", now=SLOT - 48 * HOUR)
    CronJob.objects.filter(pk=job.pk).update(timezone=LOST)
    Organisation.objects.filter(pk=elsewhere.organisation_id).update(timezone=LOST)
    return job


@pytest.fixture
def monitor(client: Client, settings: Any) -> Client:
    """Somebody who may know the names of organisations and jobs."""
    settings.METRICS_TOKEN = "of-this-test"
    client.defaults["HTTP_AUTHORIZATION"] = "Bearer of-this-test"
    return client


def titles(now: Any) -> dict[str, str]:
    return {problem.key: problem.title.in_english() for problem in find_problems(now=now)}


def test_a_job_that_cannot_be_judged_is_a_problem_and_the_others_are_judged(job: CronJob, lost: CronJob) -> None:
    run_of(job)

    nights = {night.cron_job.pk: night.fault.in_english() for night in last_nights(now=SLOT + 2 * HOUR)}
    found = titles(SLOT + 2 * HOUR)

    assert nights == {job.pk: "", lost.pk: f"There is no time zone “{LOST}” any more."}
    assert found[f"night:{lost.pk}"] == "Schedule cannot be read: other nightly"
    assert f"night:{job.pk}" not in found


def test_health_and_check_nightly_answer_and_name_it(
    job: CronJob, lost: CronJob, monitor: Client, clock: Traveller
) -> None:
    run_of(job)
    clock.move_to(SLOT + 2 * HOUR)

    answer = monitor.get("/healthz/nightly")
    code, said = check()
    nagios, line = check("--nagios")

    assert answer.status_code == 503
    assert {each["organisation"]: each["status"] for each in answer.json()["jobs"]} == {"hlf": "ok", "other": "problem"}
    assert (code, nagios) == (1, 2)
    assert LOST in said
    assert "other nightly" in line


def test_a_job_that_was_run_tonight_and_lost_its_zone_since_hides_nobody(
    job: CronJob, lost: CronJob, monitor: Client, clock: Traveller
) -> None:
    run_of(lost, finished_at=SLOT + MINUTE)
    CronJob.objects.filter(pk=lost.pk).update(alert_after_minutes=24 * 60)
    clock.move_to(SLOT + 2 * HOUR)

    found = titles(SLOT + 2 * HOUR)
    code, said = check()

    assert monitor.get("/healthz/nightly").json()["jobs"][0]["reason"]
    assert found[f"night:{job.pk}"].startswith("Night not run")
    assert found[f"night:{lost.pk}"] == "Schedule cannot be read: other nightly"
    assert (code, "look:night" in found) == (1, False)
    assert LOST in said


def test_a_schedule_that_nobody_can_read_is_not_made_good_by_a_run(job: CronJob) -> None:
    run_of(job, finished_at=SLOT + MINUTE)
    CronJob.objects.filter(pk=job.pk).update(cron_expression="99 99 * * *")
    green = run_of(job, SLOT + 10 * MINUTE)
    Run.objects.filter(pk=green.pk).update(cron_job=None)

    [night] = last_nights(now=SLOT + 30 * MINUTE)

    assert (night.slot, bool(night.fault)) == (None, True)
    assert titles(SLOT + 30 * MINUTE)[f"night:{job.pk}"] == "Schedule cannot be read: hlf nightly"


def test_a_run_whose_counts_cannot_be_read_hides_no_other_night(job: CronJob, elsewhere: Chapter) -> None:
    other = create_cron_job(organisation=elsewhere.organisation, name="nightly", now=SLOT - 48 * HOUR)
    run_of(job, status="failed", counts={"pause": None})

    found = titles(SLOT + 2 * HOUR)

    assert {f"night:{job.pk}", f"night:{other.pk}"} <= set(found)
    assert "look:night" not in found


def test_health_says_unavailable_when_the_database_goes_away_while_it_is_asked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_options: Any) -> None:
        raise OperationalError

    monkeypatch.setattr("config.health.last_nights", gone)

    answer = client.get("/healthz/nightly")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


def test_it_is_told_though_the_words_of_its_time_cannot_be_written(
    job: CronJob, lost: CronJob, alarms: Receiver
) -> None:
    run_of(job)

    assert incidents.look(now=SLOT + 2 * HOUR)
    incidents.look(now=SLOT + 2 * HOUR + MINUTE)

    assert "Schedule cannot be read: other nightly" in subjects(alarms)
    assert len(subjects(alarms)) == len(set(subjects(alarms)))


def test_an_organisation_whose_time_zone_is_gone_is_told_though_it_has_no_schedule(
    elsewhere: Chapter, hlf: Organisation
) -> None:
    Organisation.objects.filter(pk=elsewhere.organisation_id).update(timezone=LOST)

    [problem] = find_problems(now=SLOT)

    assert (problem.kind, problem.key) == ("schedule", f"zone:{elsewhere.organisation_id}")
    assert problem.details.in_english() == f"There is no time zone “{LOST}” any more."


def test_the_sweep_runs_the_others_nights_and_their_mail_leaves(
    hlf: Organisation, lost: CronJob, expired: Expired, clock: Traveller
) -> None:
    expired(1)
    job = schedule_nightly_run(organisation=hlf, now=SLOT - HOUR)
    clock.move_to(SLOT + 10 * MINUTE)

    sweep_up()

    assert Run.objects.get().cron_job == job
    assert Incident.objects.filter(key=f"night:{lost.pk}").exists()


def test_what_the_sweep_could_not_do_is_told_once_and_over_when_it_can(
    job: CronJob, alarms: Receiver, clock: Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    CronJob.objects.update(enabled=False, pause_note="x")
    PeriodicTask.objects.filter(cron_job=job).update(enabled=False)

    def broken(*_args: Any, **_options: Any) -> None:
        raise ValueError("Liv Moe")

    with monkeypatch.context() as patched:
        broken.__name__ = "record_paused_slots"
        patched.setattr(sweep, "record_paused_slots", broken)
        sweep_up()
        sweep_up()
    clock.shift(MINUTE)
    sweep_up()

    title = f"The sweep fails: record_paused_slots CronJob {job.pk}"
    assert subjects(alarms) == [title, f"All clear: {title}"]
    assert Incident.objects.get().details.in_english() == "It ended with an error: ValueError."


def test_a_row_that_cannot_be_judged_is_a_problem_and_the_others_are_judged(
    hlf: Organisation, elsewhere: Chapter
) -> None:
    run = {"business_date": "2026-11-21", "trigger": "manual", "actions": ["pause"], "created_at": SLOT}
    broken = Run.objects.create(organisation=elsewhere.organisation, status="running", **run)
    open_run = Run.objects.create(organisation=hlf, status="running", **run)
    Organisation.objects.filter(pk=elsewhere.organisation_id).update(timezone=LOST)

    found = titles(SLOT + 2 * HOUR)

    assert found[f"run:{open_run.pk}"].startswith("Run not finished: hlf")
    assert found[f"run:{broken.pk}"] == f"It cannot be looked at: run:{broken.pk}"


def test_a_whole_question_that_breaks_is_a_problem_and_ends_no_incident(
    job: CronJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_options: Any) -> None:
        raise ValueError

    run_of(job)
    Incident.objects.create(
        kind="delivery", key="delivery", title=verbatim("x"), began_at=SLOT, seen_at=SLOT, notified_at=SLOT + HOUR
    )
    monkeypatch.setattr(problems, "find_backlog", broken)

    incidents.look(now=SLOT + 2 * HOUR)

    assert set(Incident.objects.filter(ended_at=None).values_list("key", flat=True)) == {"delivery", "look:delivery"}
    assert Incident.objects.get(key="look:delivery").details == record_text.BROKEN(error="ValueError")


def test_one_alarm_that_cannot_be_written_does_not_stop_the_next(
    job: CronJob, lost: CronJob, alarms: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = alert_text.write_alert

    def broken(incident: Incident, event: Any) -> Any:
        if incident.cron_job_id == job.pk:
            raise ValueError
        return written(incident, event)

    monkeypatch.setattr(alert_text, "write_alert", broken)

    all_told = incidents.look(now=SLOT + 2 * HOUR)

    assert not all_told
    assert any("other nightly" in subject for subject in subjects(alarms))


def test_beats_entry_with_an_unknown_zone_drifts_and_the_others_are_compared(job: CronJob, lost: CronJob) -> None:
    crontab = CrontabSchedule.objects.create(minute="30", hour="0", timezone="UTC")
    PeriodicTask.objects.filter(cron_job=lost).update(crontab=crontab)
    CrontabSchedule.objects.filter(pk=crontab.pk).update(timezone=Value(LOST, output_field=CharField()))
    PeriodicTask.objects.filter(cron_job=job).update(enabled=False)
    CronJob.objects.filter(pk=lost.pk).update(timezone="Europe/Oslo")

    found = {problem.key: problem.details.in_english() for problem in find_problems(now=SLOT) if "drift" in problem.key}

    assert found == {
        f"drift:{job.pk}": "The job is on, beat's entry is off.",
        f"drift:{lost.pk}": f"Beat's times are of {LOST}, the job's of Europe/Oslo.",
    }
