"""The known traps of Celery, beat and Redis, each with the tests that keep us out of it.

What a trap needs and no other file has is tested here. `TRAPS` names the other tests, and they must exist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import transaction
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from time_machine import Traveller

from config.celery import app
from cronjobs.cron import parse_cron
from cronjobs.dispatch import send_batches
from cronjobs.models import CronJob
from cronjobs.schedules.beat import NightScheduler
from cronjobs.schedules.jobs import create_cron_job
from cronjobs.sweep import sweep
from cronjobs.work import Batch
from mentors.models import Organisation
from notifications.dispatch import deliver_after_commit
from tests.cronjobs.conftest import SLOT
from tests.support.queues import made_of_slots, received

TESTS = Path(__file__).parents[1]
CODE = [path for room in ("mentors", "certifications", "notifications", "cronjobs", "config")
        for path in (TESTS.parent / room).rglob("*.py")]  # fmt: skip

TEST = re.compile(r"^ *def (test_\w+)\(", re.MULTILINE)

TRAPS: dict[int, tuple[str, ...]] = {
    1: ("test_it_loads_every_entry_that_is_on_whatever_its_hour",
        "test_the_heartbeat_comes_before_what_is_sent_so_that_it_finds_the_silence",
        "test_a_missed_slot_is_made_up_once"),
    2: ("test_a_publish_that_failed_is_logged_and_the_broker_is_not_heard_of",
        "test_a_publish_that_failed_is_a_cause_though_the_broker_was_soon_back"),
    3: ("test_a_broker_that_is_silent_does_not_stop_the_loop",
        "test_what_a_silent_broker_costs_at_most_leaves_the_loop_in_time",
        "test_a_beat_that_starts_without_a_broker_is_heard_of_itself"),
    4: ("test_an_expression_is_written_as_beat_is_to_get_it",
        "test_an_expression_is_refused_with_the_reason",
        "test_beat_accepts_it_and_means_what_cron_means"),
    5: ("test_two_beats_through_a_week_of_nights_make_one_run_a_slot",
        "test_a_slot_claimed_by_eight_at_once_has_one_run"),
    6: ("test_a_lease_shorter_than_a_task_may_take_is_an_error",
        "test_a_killed_child_has_its_batch_delivered_again",
        "test_a_mentor_on_whom_every_attempt_breaks_stops_only_itself",
        "test_worker_becomes_healthy_and_stops"),
    7: ("test_redis_keeps_what_it_is_given_and_asks_for_the_password",
        "test_what_an_emptied_redis_forgets_is_handed_out_again_by_the_sweep_task"),
    8: (),
    9: ("test_beat_notices_a_change_without_a_restart",
        "test_beat_notices_the_resolution_and_does_not_fire_for_a_time_that_has_passed"),
    10: ("test_in_two_years_beat_fires_each_slot_at_its_minute_once_and_nothing_else",
         "test_the_whole_scheduler_agrees_through_a_night_of_a_clock_change",
         "test_a_time_that_a_clock_change_skips_or_repeats_is_warned_of_once"),
    11: ("test_a_good_run_is_opened_when_it_is_claimed_and_closed_as_ok",
         "test_an_error_of_beat_arrives_and_beat_itself_checks_nothing_in"),
    12: (),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for names in TRAPS.values() for name in names])
def test_the_test_of_a_trap_exists(name: str) -> None:
    assert name in all_tests()


@cache
def all_tests() -> set[str]:
    """Name the tests of all files, wherever they stand by now."""
    return {name for path in TESTS.rglob("test_*.py") for name in TEST.findall(path.read_text())}


def functions_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_trap_has_a_test() -> None:
    here = functions_in(Path(__file__))

    without = [trap for trap, names in TRAPS.items() if not names]

    assert list(TRAPS) == list(range(1, 13))
    assert [trap for trap in without if not any(f"_trap_{trap}_" in name for name in here)] == []


@pytest.mark.django_db
def test_trap_1_the_scheduler_that_we_extend_does_not_look_at_an_entry_of_another_hour(
    job: CronJob, clock: Traveller
) -> None:
    """Should this fail one day, the trap is gone, and our scheduler need not load everything itself."""
    five_hours_late = SLOT + timedelta(hours=5)
    theirs, ours = (kind.__new__(kind) for kind in (DatabaseScheduler, NightScheduler))

    clock.move_to(five_hours_late)
    loaded = [{task.name for task in each.enabled_models_qs()} for each in (theirs, ours)]
    sweep(now=five_hours_late)

    assert [f"nightly:{job.pk}" in names for names in loaded] == [False, True]
    assert made_of_slots() == [(SLOT, "catch_up", "succeeded")]


@pytest.mark.django_db
def test_trap_2_that_beat_noted_a_slot_as_sent_proves_nothing_to_the_sweep(job: CronJob) -> None:
    PeriodicTask.objects.filter(pk=job.periodic_task_id).update(last_run_at=SLOT, total_run_count=1)

    sweep(now=SLOT + timedelta(minutes=4))

    assert made_of_slots() == [(SLOT, "catch_up", "succeeded")]


def test_trap_3_nobody_waits_for_the_broker_for_ever() -> None:
    options = app.conf.broker_transport_options

    assert 0 < options["socket_timeout"] <= 30
    assert 0 < options["socket_connect_timeout"] <= 5
    assert options["socket_keepalive"]
    assert 0 < options["health_check_interval"] < options["socket_timeout"]


@pytest.mark.django_db
def test_trap_4_a_job_on_day_seven_fires_on_sunday_in_beat(hlf: Organisation) -> None:
    job = create_cron_job(organisation=hlf, name="weekly", cron_expression="30 0 * * 7", now=SLOT)

    entry = ModelEntry(PeriodicTask.objects.get(pk=job.periodic_task_id), app=app)

    assert entry.schedule.day_of_week == parse_cron(job.cron_expression).days_of_week == {0}
    assert PeriodicTask.objects.get(pk=job.periodic_task_id).enabled  # it has not dropped the entry


def test_trap_6_a_message_is_leased_longer_than_a_task_may_take_everywhere() -> None:
    lease = app.conf.visibility_timeout

    assert app.conf.broker_transport_options["visibility_timeout"] == lease
    assert app.conf.result_backend_transport_options["visibility_timeout"] == lease
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < lease
    assert (app.conf.task_acks_late, app.conf.task_reject_on_worker_lost) == (True, True)
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_soft_shutdown_timeout > 0


def test_trap_7_a_worker_comes_back_to_redis_and_does_not_do_work_that_another_has_by_then() -> None:
    assert app.conf.broker_connection_retry_on_startup
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.worker_cancel_long_running_tasks_on_connection_loss


def test_trap_8_a_workers_memory_is_bounded_and_results_are_kept_where_somebody_reads_them() -> None:
    app.loader.import_default_modules()
    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}

    assert app.conf.worker_max_tasks_per_child
    assert app.conf.worker_max_memory_per_child
    assert {name for name, task in ours.items() if not task.ignore_result} == {"cronjobs.nightly"}


def test_trap_9_no_schedule_in_code_overwrites_the_database() -> None:
    assert not app.conf.beat_schedule
    assert "django_celery_beat" in settings.INSTALLED_APPS
    assert not [path for path in CODE if "beat_schedule" in path.read_text() or "BEAT_SCHEDULE =" in path.read_text()]


def test_trap_9_beats_entries_are_never_written_past_what_beat_notices() -> None:
    concerned = [path for path in naming("PeriodicTask", "CrontabSchedule") if "migrations" not in path.parts]

    written = [call for path in concerned for call in queryset_updates(path)]

    assert written == []


def naming(*words: str) -> list[Path]:
    """Return the code in which one of the words stands: it alone is worth parsing."""
    return [path for path in CODE if any(word in path.read_text() for word in words)]


def queryset_updates(path: Path) -> Iterator[str]:
    """Yield the calls of `PeriodicTask.objects….update(…)` and of their kind."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            text = ast.unparse(node.func)
            if node.func.attr in {"update", "bulk_create", "bulk_update"} and text.startswith(
                ("PeriodicTask.", "CrontabSchedule.")
            ):
                yield f"{path.name}: {text}"


def test_trap_10_celery_counts_in_utc_and_the_night_begins_where_no_clock_changes() -> None:
    assert (str(app.conf.timezone), app.conf.enable_utc, settings.DJANGO_CELERY_BEAT_TZ_AWARE) == ("UTC", True, True)
    assert CronJob._meta.get_field("cron_expression").get_default() == "30 0 * * *"


@pytest.mark.django_db(transaction=True)
def test_trap_12_a_message_leaves_after_the_commit_and_not_at_all_after_a_rollback(empty_queues: None) -> None:
    with transaction.atomic():
        deliver_after_commit()
        before_the_commit = received("delivery")
    after_the_commit = received("delivery")
    with transaction.atomic():
        deliver_after_commit()
        transaction.set_rollback(True)

    assert before_the_commit == []
    assert [name for name, _arguments in after_the_commit] == ["notifications.deliver"]
    assert received("delivery") == []


def test_trap_12_work_is_sent_from_two_modules_only() -> None:
    """From beat too, which has no transaction. The night's own is only sent once its plan is committed."""
    ways = {"delay", "apply_async", "send_task", "delay_on_commit"}
    senders = {
        path.relative_to(TESTS.parent).as_posix()
        for path in naming(*ways)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ways
    }

    assert senders == {"cronjobs/dispatch.py", "notifications/dispatch.py", "cronjobs/schedules/beat.py"}


@pytest.mark.django_db
def test_trap_12_a_fan_out_uses_one_connection(monkeypatch: pytest.MonkeyPatch, empty_queues: None) -> None:
    producers: list[Any] = []
    send = app.send_task

    def send_and_note(*args: Any, **options: Any) -> Any:
        producers.append(options["producer"])
        return send(*args, **options)

    monkeypatch.setattr(app, "send_task", send_and_note)

    send_batches(uuid4(), [Batch(mentor_ids=[number]) for number in range(50)])

    sent = received("night")
    assert len(sent) == len(producers) == 50
    assert len({id(producer) for producer in producers}) == 1
