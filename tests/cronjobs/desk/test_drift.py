"""What the desk makes of an edit of beat's own tables."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from cronjobs.models import CronJob
from mentors.models import User
from tests.conftest import Desk
from tests.support.entries import edit_crontab, entry_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(desk: Desk) -> Client:
    """The superuser's browser."""
    return desk(User.objects.create_superuser("root"))


def test_the_desk_shows_it_and_refuses_to_save(browser: Client, job: CronJob) -> None:
    edit_crontab(job, minute="45")
    url = reverse("admin:cronjobs_cronjob_change", args=[job.pk])

    page = browser.get(url).content.decode()
    answer = browser.post(
        url,
        {"name": "nightly", "cron_expression": "0 3 * * *", "timezone": "UTC", "enabled": "on",
         "alert_after_minutes": 5},
    )  # fmt: skip

    job.refresh_from_db()
    assert "Beat fires it at “45 0 * * *”" in page
    assert answer.status_code == 200
    assert "Beat&#x27;s own tables differ from this job" in answer.content.decode()
    assert (job.cron_expression, job.alert_after_minutes) == ("30 0 * * *", 60)


@pytest.mark.parametrize(("action", "minute"), [("keep_schedule", "30"), ("take_over_beats", "45")])
def test_the_desk_resolves_it(browser: Client, job: CronJob, action: str, minute: str) -> None:
    edit_crontab(job, minute="45")

    browser.post(reverse("admin:cronjobs_cronjob_changelist"), {"action": action, "_selected_action": [job.pk]})

    job.refresh_from_db()
    assert (job.cron_expression, entry_of(job).crontab.minute) == (f"{minute} 0 * * *", minute)


def test_the_desk_says_why_it_cannot_take_over(browser: Client, job: CronJob) -> None:
    entry_of(job).delete()

    answer = browser.post(
        reverse("admin:cronjobs_cronjob_changelist"),
        {"action": "take_over_beats", "_selected_action": [job.pk]},
        follow=True,
    )

    assert "It has no crontab for the job." in answer.content.decode()


def test_the_desk_saves_as_the_api_does(browser: Client, job: CronJob) -> None:
    url = reverse("admin:cronjobs_cronjob_change", args=[job.pk])

    off = {"name": "nightly", "cron_expression": "30 2 * * *", "timezone": "Europe/Oslo", "pause_note": "Summer.",
           "alert_after_minutes": 60}  # fmt: skip
    browser.post(url, off)

    job.refresh_from_db()
    page = browser.get(url).content.decode()
    assert (job.enabled, job.pause_note, job.paused_by) == (False, "Summer.", "root")
    assert job.paused_at is not None
    assert not entry_of(job).enabled
    assert "02:30 does not exist on" in page
