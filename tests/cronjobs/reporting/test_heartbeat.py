"""The hook that tells a monitoring service how a run goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from cronjobs import after_close
from cronjobs.models import CronJob, Run
from cronjobs.monitoring import http_probe
from tests.conftest import NOW, TODAY
from tests.cronjobs.conftest import SLOT, break_planning
from tests.support.nights import run_night
from tests.support.receiver import HANG, Answer, Receiver, http_receiver


@pytest.fixture
def listener(settings: Any) -> Iterator[Receiver]:
    with http_receiver() as receiver:
        settings.RUN_HOOKS = ["cronjobs.reporting.heartbeat"]
        settings.HEARTBEAT_URL = f"{receiver.url}/ping/{{slug}}?key=of-this-test"
        yield receiver


def test_it_says_start_and_then_that_all_is_well(listener: Receiver, job: CronJob) -> None:
    run = run_night(job.organisation, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE)

    ping = f"/ping/nightly-{job.pk}"
    assert [request.path for request in listener.received] == [
        f"{ping}/start?key=of-this-test&rid={run.pk}",
        f"{ping}?key=of-this-test&rid={run.pk}",
    ]


def test_it_says_that_a_run_failed(listener: Receiver, job: CronJob, monkeypatch: pytest.MonkeyPatch) -> None:
    break_planning(monkeypatch)

    with pytest.raises(ValueError, match="Liv"):
        run_night(job.organisation, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE)

    assert [request.path.partition("?")[0].rpartition("/")[2] for request in listener.received] == ["start", "fail"]


def test_it_says_nothing_of_what_a_person_starts_nor_of_a_missed_slot(listener: Receiver, job: CronJob) -> None:
    run_night(job.organisation, TODAY, cron_job=job)
    missed = Run.objects.create(
        organisation=job.organisation,
        cron_job=job,
        scheduled_for=SLOT,
        business_date=TODAY,
        trigger=Run.Trigger.SCHEDULE,
        actions=[],
        status=Run.Status.MISSED,
        created_at=NOW,
        finished_at=NOW,
    )

    after_close.conclude(missed.pk, now=NOW)

    assert listener.received == []
    missed.refresh_from_db()
    assert missed.concluded_at == NOW


@pytest.mark.parametrize("answer", [Answer(500), Answer(404), HANG])
def test_a_service_that_is_in_trouble_does_not_trouble_the_night(
    listener: Receiver, job: CronJob, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.answer = lambda _request: answer
    monkeypatch.setattr(http_probe, "TIMEOUT_SECONDS", (0.5, 0.5))

    with capture_logs() as logs:
        run = run_night(job.organisation, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE)

    assert run.status == "succeeded"
    failed = [line for line in logs if line.get("event_name") == "hook_failed"]
    assert len(failed) == 2
    assert "of-this-test" not in str(logs)


def test_an_answer_that_never_ends_is_not_read(listener: Receiver, job: CronJob) -> None:
    listener.answer = lambda _request: Answer(200, hangs=True)

    run = run_night(job.organisation, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE)

    assert run.status == "succeeded"
    assert len(listener.received) == 2


def test_it_waits_for_seconds_and_no_longer() -> None:
    assert sum(http_probe.TIMEOUT_SECONDS) < 10
