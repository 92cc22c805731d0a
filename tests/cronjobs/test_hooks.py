"""Who is told of a run: after its commit, at least once, and never so that the run would notice."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from django.core import checks
from django.db import connection, connections, transaction
from structlog.testing import capture_logs

from cronjobs import after_close, nightly, starting, sweep
from cronjobs.hooks import RunError, RunResult
from cronjobs.models import CronJob, Run, Seal
from cronjobs.retry import retry_failed
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from mentors.record_text import verbatim
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.cronjobs.conftest import SLOT, break_planning
from tests.support.breaking import other_backends
from tests.support.nights import plan_night, run_night, work_night
from tests.support.processes import PROJECT, wait_until
from tests.support.receiver import http_receiver


class Ear:
    """A hook that keeps what it is told, and whether it was told inside a transaction."""

    def __init__(self) -> None:
        self.told: list[tuple[str, RunResult]] = []
        self.errors: list[Exception | None] = []
        self.in_transaction: list[bool] = []

    def on_run_claimed(self, result: RunResult) -> None:
        self._note("claimed", result)

    def on_run_complete(self, result: RunResult) -> None:
        self._note("complete", result)

    def on_run_error(self, error: RunError) -> None:
        self._note("error", error.result)
        self.errors.append(error.error)

    @property
    def heard(self) -> list[str]:
        return [event for event, _result in self.told]

    def _note(self, event: str, result: RunResult) -> None:
        self.told.append((event, result))
        self.in_transaction.append(connection.in_atomic_block)


class Deaf:
    """A hook that breaks whatever it is told, and tells whom it was about."""

    def on_run_claimed(self, _result: RunResult) -> None:
        raise ValueError("Liv Moe")

    on_run_complete = on_run_error = on_run_claimed


EAR = Ear()
DEAF = Deaf()


@pytest.fixture
def ear(settings: Any) -> Ear:
    EAR.__init__()  # type: ignore[misc]
    settings.RUN_HOOKS = [f"{__name__}.DEAF", "no.such.module", f"{__name__}.EAR"]
    return EAR


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, now=NOW - timedelta(days=3), name="nightly", cron_expression="30 0 * * *")


class TestWhatIsTold:
    def test_a_green_run_is_claimed_and_complete(self, ear: Ear, job: CronJob) -> None:
        run = run_night(job.organisation, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE)

        assert ear.heard == ["claimed", "complete"]
        assert [result.run_id for _event, result in ear.told] == [run.pk, run.pk]
        claimed, complete = (result for _event, result in ear.told)
        assert (claimed.status, claimed.seconds, claimed.finished_at) == ("planned", None, None)
        assert (complete.status, complete.seconds, complete.scheduled_for) == ("succeeded", 0.0, SLOT)
        assert complete.counts["pause"] == {"planned": 0, "done": 0, "skipped": 0, "failed": 0}
        assert complete.slug == f"nightly-{job.pk}"

    def test_a_plan_that_breaks_is_an_error_with_its_exception(
        self, ear: Ear, hlf: Organisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        break_planning(monkeypatch)

        with pytest.raises(ValueError, match="Liv Moe"):
            run_night(hlf, TODAY)

        assert ear.heard == ["claimed", "error"]
        assert ear.told[1][1].status == "failed"
        assert isinstance(ear.errors[0], ValueError)

    def test_a_missed_slot_is_an_error_that_never_began(self, ear: Ear, job: CronJob) -> None:
        sweep.sweep(now=NOW + timedelta(days=2, minutes=5))

        missed = [result for event, result in ear.told if event == "error"]
        assert {result.status for result in missed} == {"missed"}
        assert {result.seconds for result in missed} == {None}
        assert len(missed) == Run.objects.filter(status=Run.Status.MISSED).count() > 0

    def test_a_slot_that_passes_while_the_job_is_switched_off_is_no_error(self, ear: Ear, job: CronJob) -> None:
        CronJob.objects.update(enabled=False, pause_note="Until the roster is mended.")

        sweep.sweep(now=NOW + timedelta(days=1))

        assert Run.objects.filter(status=Run.Status.MISSED, concluded_at__isnull=False).exists()
        assert ear.told == []

    def test_a_dry_run_is_nobodys_business(self, ear: Ear, hlf: Organisation) -> None:
        run = starting.execute_expiry_check(organisation=hlf, dry_run=True, now=NOW)
        after_close.conclude(run.pk, now=NOW)

        assert ear.heard == []

    def test_a_rejected_run_is_told_when_it_is_rejected(
        self, ear: Ear, hlf: Organisation, enrol: Enrol, certify: Certify
    ) -> None:
        hlf.brake_minimum = 0
        hlf.save()
        for _ in range(3):
            certify(enrol(), expires_in=-5)
        run = plan_night(hlf, TODAY)
        assert (run.status, ear.heard) == ("held", ["claimed"])

        nightly.reject_run(run.pk, by="olav", reason="wrong dates", now=NOW + timedelta(hours=2))

        assert ear.heard == ["claimed", "error"]
        assert ear.told[1][1].status == "partial"

    def test_nothing_of_any_person_is_in_it(
        self, ear: Ear, hlf: Organisation, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certify(enrol(name="Liv Moe", email="liv@example.org"), expires_in=-5)
        run_night(hlf, TODAY, requested_by="olav")
        break_planning(monkeypatch)
        with pytest.raises(ValueError, match="Liv"):
            run_night(hlf, TODAY)

        assert len(ear.told) == 4
        assert not re.search(r"Liv|Moe|olav|example\.org", str([asdict(result) for _event, result in ear.told]))


class TestWhen:
    @pytest.mark.django_db(transaction=True)
    def test_hooks_are_called_after_the_commit_even_for_a_held_run_that_another_retires(
        self, ear: Ear, hlf: Organisation, enrol: Enrol, certify: Certify, job: CronJob
    ) -> None:
        hlf.brake_minimum = 0
        hlf.save()
        for _ in range(3):
            certify(enrol(), expires_in=-5)
        held = plan_night(hlf, TODAY)

        successor = run_night(hlf, TODAY, cron_job=job, scheduled_for=SLOT, trigger=Run.Trigger.SCHEDULE, approved=True)

        heard = [(event, result.run_id) for event, result in ear.told]
        assert heard == [
            ("claimed", held.pk),
            ("error", held.pk),
            ("claimed", successor.pk),
            ("complete", successor.pk),
        ]
        assert ear.in_transaction == [False] * 4

    @pytest.mark.django_db(transaction=True)
    def test_neither_a_claim_nor_a_conclusion_may_be_undone_by_a_transaction_around_it(self, hlf: Organisation) -> None:
        run = run_night(hlf, TODAY)

        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            nightly.claim_run(organisation=hlf, business_date=TODAY, trigger=Run.Trigger.MANUAL, now=NOW)
        with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
            after_close.conclude(run.pk, now=NOW)

    def test_a_run_that_is_retried_is_told_of_again_and_by_its_own_time(
        self, ear: Ear, hlf: Organisation, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certify(enrol(), expires_in=-5)
        run = plan_night(hlf, TODAY)
        run.items.update(status="failed", error=verbatim("x"))
        nightly.close_run(run.pk, now=NOW)
        later = NOW + timedelta(hours=2)

        work_night(retry_failed(run.pk, now=later), now=later + timedelta(seconds=30))

        assert ear.heard == ["claimed", "error", "complete"]
        again = ear.told[-1][1]
        assert (again.closing, again.seconds) == (2, 30.0)
        assert Seal.objects.filter(run_id=run.pk).count() == 2


class TestAtLeastOnce:
    def test_a_worker_that_dies_before_the_hooks_leaves_them_to_the_sweep(self, ear: Ear, hlf: Organisation) -> None:
        run = plan_night(hlf, TODAY)
        assert nightly._close(run.pk, now=NOW)  # and the worker is gone

        sweep.sweep(now=NOW + timedelta(minutes=2))
        sweep.sweep(now=NOW + timedelta(minutes=4))

        assert ear.heard == ["claimed", "complete"]
        assert ear.told[1][1].closing == 1

    def test_a_worker_that_dies_while_it_tells_leaves_it_to_the_sweep_as_the_same_close(
        self, ear: Ear, hlf: Organisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = plan_night(hlf, TODAY)

        def die(*_args: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as dying:
            dying.setattr(after_close, "_call_hooks", die)
            with pytest.raises(KeyboardInterrupt):
                nightly.close_run(run.pk, now=NOW)
        sweep.sweep(now=NOW + timedelta(minutes=2))

        assert ear.heard == ["claimed", "complete"]
        assert ear.told[1][1].closing == 1
        run.refresh_from_db()
        assert run.concluded_at == NOW + timedelta(minutes=2)

    @pytest.mark.django_db(transaction=True)
    def test_while_one_process_concludes_another_leaves_the_run_alone(
        self, ear: Ear, hlf: Organisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = plan_night(hlf, TODAY)
        nightly._close(run.pk, now=NOW)
        other = connections["default"].copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", [int.from_bytes(run.pk.bytes[:8], signed=True)])
            after_close.conclude(run.pk, now=NOW)
            assert ear.heard == ["claimed"]
        finally:
            other.close()  # as if it had died
        wait_until(lambda: not other_backends(), what="the end of its connection, and of its lock")

        after_close.conclude(run.pk, now=NOW)

        assert ear.heard == ["claimed", "complete"]

    def test_a_run_that_is_retried_while_its_hooks_are_called_is_concluded_again(
        self, ear: Ear, hlf: Organisation, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certify(enrol(), expires_in=-5)
        run = plan_night(hlf, TODAY)
        run.items.update(status="failed", error=verbatim("x"))
        call_hooks = after_close._call_hooks

        def press_retry(*args: Any) -> None:
            call_hooks(*args)
            retry_failed(run.pk, now=NOW)

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(after_close, "_call_hooks", press_retry)
            nightly.close_run(run.pk, now=NOW)
        work_night(run)

        assert ear.heard == ["claimed", "error", "complete"]


class TestTrouble:
    def test_a_hook_that_breaks_is_logged_without_what_it_says(self, ear: Ear, hlf: Organisation) -> None:
        with capture_logs() as logs:
            run = run_night(hlf, TODAY)

        failed = [line for line in logs if line.get("event_name") == "hook_failed"]
        assert run.status == "succeeded"
        assert ear.heard == ["claimed", "complete"]
        assert {(line["hook"], line["on"], line["error"]) for line in failed} == {
            (f"{__name__}.DEAF", "on_run_claimed", "ValueError"),
            (f"{__name__}.DEAF", "on_run_complete", "ValueError"),
            ("no.such.module", "on_run_claimed", "ModuleNotFoundError"),
            ("no.such.module", "on_run_complete", "ModuleNotFoundError"),
        }
        assert "Liv" not in str(logs)

    @pytest.mark.parametrize(
        ("name", "fault"),
        [
            ("no.such.module", "cannot be imported"),
            ("tests.cronjobs.test_hooks.NOBODY", "cannot be imported"),
            ("tests.cronjobs.test_hooks.SLOT", "has none of the functions"),
            ("tests.support.nights", "has none of the functions"),
            ("not a path", "cannot be imported"),
        ],
    )
    def test_a_hook_that_cannot_be_called_is_found_by_the_checks(self, name: str, fault: str, settings: Any) -> None:
        settings.RUN_HOOKS = ["cronjobs.reporting.log", name]

        (error,) = [found for found in checks.run_checks(databases=[]) if found.id == "nattevakt.E012"]

        assert name in error.msg
        assert fault in error.msg
        assert error.hint

    @pytest.mark.parametrize(
        "name", ["tests.cronjobs.test_hooks.EAR", "tests.cronjobs.test_hooks.Deaf", "cronjobs.reporting.sentry"]
    )
    def test_a_module_a_class_and_an_instance_can(self, name: str, settings: Any) -> None:
        settings.RUN_HOOKS = [name]

        assert [found.id for found in checks.run_checks(databases=[]) if found.id == "nattevakt.E012"] == []


def test_the_example_of_the_documentation_works(
    hlf: Organisation, enrol: Enrol, certify: Certify, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (PROJECT / "docs/hooks.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    module = ModuleType("example_hook")
    monkeypatch.setitem(sys.modules, "example_hook", module)
    exec(compile(example[1], "docs/hooks.md", "exec"), module.__dict__)  # noqa: S102  it is ours
    settings.RUN_HOOKS = ["example_hook"]
    certify(enrol(), expires_in=-5)

    with http_receiver() as chat:
        monkeypatch.setenv("TEAM_CHAT_URL", chat.url)
        run_night(hlf, TODAY)
        certify(enrol(), expires_in=-4)
        run = plan_night(hlf, TODAY)
        run.items.update(status="failed")
        nightly.close_run(run.pk, now=NOW)

    assert [json.loads(request.body) for request in chat.received] == [
        {"text": "hlf, 2026-11-21: 1 paused, 0 resumed, 0 reminded in 0 s"},
        {"text": f"hlf, 2026-11-21: failed, 1 not done. Run {run.pk}"},
    ]
