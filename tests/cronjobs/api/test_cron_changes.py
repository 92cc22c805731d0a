"""Schedules that are changed and removed through the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django_celery_beat.models import PeriodicTask
from rest_framework.test import APIClient

from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import change_cron_job, remove_cron_job
from mentors.models import Organisation
from tests.conftest import NOW
from tests.support.api import faults
from tests.support.databases import ask
from tests.support.nights import run_night
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db

URL = "/api/v1/certification-cron"


def as_text(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


class TestChanging:
    def test_put_takes_back_what_get_gave_though_time_has_passed(
        self, client: APIClient, job: CronJob, hlf: Organisation, clock: time_machine.Traveller
    ) -> None:
        shown = client.get(f"{URL}/{job.pk}")
        clock.shift(timedelta(days=1))
        run_night(hlf, NOW.date(), cron_job=job)

        answer = client.put(
            f"{URL}/{job.pk}", shown.json() | {"cron_expression": "15 2 * * *"}, HTTP_IF_MATCH=shown["ETag"]
        )

        assert (answer.status_code, answer.json()["schedule_text"]) == (200, "at 02:15")
        assert answer["ETag"] != shown["ETag"]

    def test_what_is_left_out_stays_as_it_is(self, client: APIClient, job: CronJob) -> None:
        change_cron_job(job, enabled=False, pause_note="The roster is being mended.", timezone="UTC", now=NOW)

        put = client.put(f"{URL}/{job.pk}", {"name": "nightly", "cron_expression": "@daily"})

        assert (put.json()["enabled"], put.json()["timezone"]) == (False, "UTC")
        assert put.json()["pause_note"] == "The roster is being mended."

    def test_put_needs_a_name_and_an_expression(self, client: APIClient, job: CronJob) -> None:
        answer = client.put(f"{URL}/{job.pk}", {"enabled": True})

        assert faults(answer) == (400, [("name", "required"), ("cron_expression", "required")])

    def test_switching_it_off_takes_a_note_which_is_gone_when_it_is_on(
        self, client: APIClient, job: CronJob, clock: time_machine.Traveller
    ) -> None:
        clock.move_to(NOW, tick=False)

        silent = client.patch(f"{URL}/{job.pk}", {"enabled": False})
        off = client.patch(f"{URL}/{job.pk}", {"enabled": False, "pause_note": "Mending. Olav"})
        on = client.patch(f"{URL}/{job.pk}", {"enabled": True})

        assert [error["attr"] for error in silent.json()["errors"]] == ["pause_note"]
        assert (off.json()["enabled"], off.json()["next_runs"]) == (False, [])
        assert (off.json()["paused_by"], off.json()["paused_at"]) == ("olav", as_text(NOW))
        assert (on.json()["paused_by"], on.json()["paused_at"]) == ("", None)
        assert (on.json()["pause_note"], len(on.json()["next_runs"])) == ("", 5)

    @pytest.mark.parametrize("change", [{"organisation": "nbf"}, {"id": 0}, {"schedule_text": "never"}])
    def test_what_cannot_be_written_is_refused_by_name(
        self, client: APIClient, job: CronJob, change: dict[str, Any]
    ) -> None:
        answer = client.patch(f"{URL}/{job.pk}", change)

        assert faults(answer) == (400, [(*change, "read_only")])

    def test_a_stale_if_match_changes_nothing(self, client: APIClient, job: CronJob) -> None:
        stale = client.get(f"{URL}/{job.pk}")["ETag"]
        client.patch(f"{URL}/{job.pk}", {"alert_after_minutes": 5})

        answers = [
            client.patch(f"{URL}/{job.pk}", {"alert_after_minutes": 9}, HTTP_IF_MATCH=stale),
            client.post(f"{URL}/{job.pk}/execute", {}, HTTP_IF_MATCH=stale),
            client.delete(f"{URL}/{job.pk}", HTTP_IF_MATCH=stale),
        ]

        job.refresh_from_db()
        assert [answer.status_code for answer in answers] == [412, 412, 412]
        assert (job.alert_after_minutes, Run.objects.count()) == (5, 0)

    def test_a_schedule_is_removed_and_its_runs_stay(self, client: APIClient, job: CronJob, hlf: Organisation) -> None:
        run = run_night(hlf, NOW.date(), cron_job=job)

        answer = client.delete(f"{URL}/{job.pk}")

        assert (answer.status_code, client.get(f"{URL}/{job.pk}").status_code) == (204, 404)
        assert client.get(f"/api/v1/runs/{run.pk}").json()["cron_job"] is None
        assert not PeriodicTask.objects.filter(task="cronjobs.nightly").exists()


@pytest.mark.django_db(transaction=True)
def test_what_somebody_else_removes_meanwhile_is_404(client: APIClient, job: CronJob) -> None:
    answers: list[int] = []

    def change() -> None:
        answers.append(client.patch(f"{URL}/{job.pk}", {"alert_after_minutes": 5}).status_code)
        connection.close()

    late = Thread(target=change)
    with transaction.atomic():
        remove_cron_job(CronJob.objects.get())
        late.start()
        wait_until(somebody_waits_for_this_transaction)
    late.join(timeout=60)

    assert answers == [404]


def somebody_waits_for_this_transaction() -> bool:
    """Whoever else waits on this server waits for another test."""
    return bool(ask("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"))
