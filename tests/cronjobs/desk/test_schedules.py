"""Schedules at the desk: in words, switched off and on, and run now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone, translation
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from pytest_django import DjangoAssertNumQueries

from cronjobs.admin.cron_words import say_schedule
from cronjobs.models import CronJob, Run
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, Organisation, User
from tests.conftest import Desk

pytestmark = pytest.mark.django_db
MOST = 12
BUTTONS = ("pause", "switch-on", "run-now", "keep", "take-over")

CRON_JOB = {
    "name": "nightly",
    "cron_expression": "30 0 * * *",
    "timezone": "Europe/Oslo",
    "enabled": "on",
    "alert_after_minutes": "60",
}


def url(job: CronJob, name: str = "change") -> str:
    return reverse(f"admin:cronjobs_cronjob_{name}", args=[job.pk])


PageOf = Callable[[User, CronJob], str]


@pytest.fixture
def page_of(desk: Desk) -> PageOf:
    """Return the page of a job as the user reads it: `page_of(olav, job)`."""

    def read(user: User, job: CronJob) -> str:
        answer = desk(user).get(url(job))
        assert answer.status_code == 200
        return answer.content.decode()

    return read


def close_run(job: CronJob, **fields: Any) -> Run:
    now = timezone.now()
    values = {"status": Run.Status.SUCCEEDED, "created_at": now, "finished_at": now, "business_date": now.date()}
    return Run.objects.create(
        organisation=job.organisation, cron_job=job, trigger=Run.Trigger.MANUAL, actions=["pause"],
        counts={}, **values | fields,
    )  # fmt: skip


@pytest.mark.parametrize(("expression", "language", "words"), [
    ("30 0 * * *", "en", "every night at 00:30"),
    ("0 7,19 * * *", "en", "every day at 07:00 and 19:00"),
    ("15 2 * * 0,1", "en", "every Monday and Sunday at 02:15"),
    ("15 2 1,15 * *", "en", "on day 1 and 15 of every month at 02:15"),
    ("*/15 * * * *", "nb", "every 15 minutes"),
    ("nonsense", "en", "nonsense"),
])  # fmt: skip
def test_a_schedule_is_said_in_words(expression: str, language: str, words: str) -> None:
    with translation.override(language):
        assert say_schedule(expression) == words


def test_the_list_says_when_each_runs_and_how_the_last_run_went(desk: Desk, olav: User, job: CronJob) -> None:
    close_run(job, status=Run.Status.FAILED, created_at=timezone.now() - timedelta(days=1))
    newest = close_run(job)
    close_run(job, dry_run=True, status=Run.Status.FAILED, created_at=timezone.now() + timedelta(minutes=1))

    page = desk(olav).get(reverse("admin:cronjobs_cronjob_changelist")).content.decode()

    assert "every night at 00:30" in page
    assert "Sunday Nov. 22, 2026 00:30" in page
    assert reverse("admin:cronjobs_run_change", args=[newest.pk]) in page
    assert "all done" in page
    assert "failed</span>" not in page


def test_the_page_tells_the_next_five_runs(page_of: PageOf, olav: User, job: CronJob) -> None:
    page = page_of(olav, job)

    assert all(f"Nov. {day}, 2026 00:30" in page for day in (22, 23, 24, 25, 26))
    assert "Nov. 27, 2026 00:30" not in page


@pytest.mark.parametrize("user", ["kari", "auditor"])
@pytest.mark.parametrize("name", BUTTONS)
def test_who_does_not_lead_finds_no_schedule(
    desk: Desk, request: pytest.FixtureRequest, job: CronJob, user: str, name: str
) -> None:
    client = desk(request.getfixturevalue(user))

    assert client.get(reverse("admin:cronjobs_cronjob_changelist")).status_code == 403
    assert client.post(url(job, name), {"pause_note": "Guessed."}).status_code == 404
    job.refresh_from_db()
    assert job.enabled
    assert not Run.objects.exists()


@pytest.mark.parametrize("name", BUTTONS)
def test_a_schedule_of_another_organisation_is_not_there(
    desk: Desk, olav: User, elsewhere: Chapter, now: datetime, name: str
) -> None:
    foreign = schedule_nightly_run(organisation=elsewhere.organisation, now=now)
    client = desk(olav)

    answer = client.post(url(foreign, name), {"pause_note": "Guessed."})

    assert answer.status_code == 404
    assert not client.get(reverse("admin:cronjobs_cronjob_changelist")).context["cl"].result_list
    assert client.get(url(foreign)).status_code == 302  # to the home page: it does not exist


def test_a_schedule_made_in_the_desk_is_beats_too(desk: Desk, olav: User, hlf: Organisation) -> None:
    desk(olav).post(reverse("admin:cronjobs_cronjob_add"), CRON_JOB | {"organisation": hlf.pk})

    entry = PeriodicTask.objects.get(task="cronjobs.nightly")
    assert (entry.crontab.hour, entry.crontab.minute, str(entry.crontab.timezone)) == ("0", "30", "Europe/Oslo")
    assert CronJob.objects.get().periodic_task == entry


def test_a_schedule_made_in_the_desk_is_written_as_beat_reads_it(desk: Desk, olav: User, hlf: Organisation) -> None:
    desk(olav).post(
        reverse("admin:cronjobs_cronjob_add"), CRON_JOB | {"organisation": hlf.pk, "cron_expression": "30 0 * * SUN"}
    )

    assert CronJob.objects.get().cron_expression == "30 0 * * 0"


@pytest.mark.parametrize("expression", ["30 25 * * *", "hello", "30 0 * *", "0 0 * * 8"])
def test_a_schedule_that_beat_cannot_read_is_refused(
    desk: Desk, olav: User, hlf: Organisation, expression: str
) -> None:
    answer = desk(olav).post(
        reverse("admin:cronjobs_cronjob_add"),
        CRON_JOB | {"organisation": hlf.pk, "cron_expression": expression},
    )

    assert "cron expression" in answer.content.decode()
    assert not CronJob.objects.exists()


def test_making_one_that_is_switched_off_asks_for_a_note(desk: Desk, olav: User, hlf: Organisation) -> None:
    desk(olav).post(
        reverse("admin:cronjobs_cronjob_add"),
        {key: value for key, value in CRON_JOB.items() if key != "enabled"} | {"organisation": hlf.pk},
    )

    assert not CronJob.objects.exists()


def test_a_removed_schedule_fires_no_more(desk: Desk, olav: User, hlf: Organisation) -> None:
    desk(olav).post(reverse("admin:cronjobs_cronjob_add"), CRON_JOB | {"organisation": hlf.pk})

    desk(olav).post(reverse("admin:cronjobs_cronjob_delete", args=[CronJob.objects.get().pk]), {"post": "yes"})

    assert not PeriodicTask.objects.filter(task="cronjobs.nightly").exists()


def test_switching_off_asks_for_a_note(desk: Desk, page_of: PageOf, olav: User, job: CronJob) -> None:
    client = desk(olav)

    without = client.post(url(job, "pause"), {"pause_note": ""})
    client.post(url(job, "pause"), {"pause_note": "Until the roster is mended."})

    job.refresh_from_db()
    assert without.status_code == 422
    assert (job.enabled, job.pause_note, job.paused_by) == (False, "Until the roster is mended.", "olav")
    page = page_of(olav, job)
    assert "Until the roster is mended." in page
    assert url(job, "switch-on") in page


def test_switching_on_again_needs_no_more_than_a_press(desk: Desk, olav: User, job: CronJob) -> None:
    client = desk(olav)
    client.post(url(job, "pause"), {"pause_note": "Summer."})

    asked = client.get(url(job, "switch-on")).content.decode()
    client.post(url(job, "switch-on"))

    job.refresh_from_db()
    assert "It was switched off because: Summer." in asked
    assert (job.enabled, job.pause_note) == (True, "")


def test_run_now_leads_to_the_run(desk: Desk, olav: User, job: CronJob) -> None:
    answer = desk(olav).post(url(job, "run-now"))

    run = Run.objects.get()
    assert answer.url == reverse("admin:cronjobs_run_change", args=[run.pk])  # type: ignore[attr-defined]
    assert (run.cron_job, run.requested_by, run.dry_run) == (job, "olav", False)


def test_run_now_may_only_look(desk: Desk, olav: User, job: CronJob) -> None:
    answer = desk(olav).post(url(job, "run-now"), {"dry_run": "on"}, follow=True)

    assert Run.objects.get().dry_run
    assert "This is what a run would do now." in answer.content.decode()


def test_run_now_is_refused_while_a_run_is_open_and_shows_the_way_to_it(desk: Desk, olav: User, job: CronJob) -> None:
    held = close_run(job, status=Run.Status.HELD, finished_at=None)

    answer = desk(olav).post(url(job, "run-now"))

    assert answer.status_code == 422
    assert "is still held" in answer.content.decode()
    assert reverse("admin:cronjobs_run_change", args=[held.pk]) in answer.content.decode()
    assert Run.objects.get() == held


@pytest.mark.parametrize(("name", "minute"), [("keep", "30"), ("take-over", "45")])
def test_what_differs_from_beats_tables_is_decided_on_the_page(
    desk: Desk, page_of: PageOf, olav: User, job: CronJob, name: str, minute: str
) -> None:
    assert url(job, name) not in page_of(olav, job)
    assert job.periodic_task
    crontab = CrontabSchedule.objects.create(minute="45", hour="0", timezone="Europe/Oslo")
    job.periodic_task.crontab = crontab
    job.periodic_task.save()
    assert url(job, name) in page_of(olav, job)

    desk(olav).post(url(job, name))

    job.refresh_from_db()
    assert job.cron_expression == f"{minute} 0 * * *"
    assert job.periodic_task.crontab.minute == minute


def test_its_pages_ask_the_database_as_often_for_many_as_for_few(
    desk: Desk, olav: User, job: CronJob, now: datetime, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = desk(olav)
    for number in range(20):
        more = schedule_nightly_run(organisation=job.organisation, name=f"job {number}", now=now)
        close_run(more)
        close_run(more)

    for address in (reverse("admin:cronjobs_cronjob_changelist"), url(job), url(job, "run-now")):
        with django_assert_max_num_queries(MOST):
            assert client.get(address).status_code == 200
