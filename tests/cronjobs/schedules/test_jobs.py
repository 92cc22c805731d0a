"""The jobs that have a schedule, and their entries in beat's own tables: made, changed, switched off and on."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import ModelEntry

from cronjobs.models import CronJob, Run
from cronjobs.schedules.jobs import CronJobExists, change_cron_job, create_cron_job, remove_cron_job, resolve_drift
from cronjobs.starting import schedule_nightly_run
from cronjobs.sweep import sweep
from mentors.models import Organisation
from tests.conftest import NOW
from tests.support.at_once import wait_until_somebody_waits
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.django_db


def task_of(job: CronJob) -> PeriodicTask:
    return PeriodicTask.objects.select_related("crontab").get(name=f"nightly:{job.pk}")


def beat_last_saw_a_change() -> datetime:
    changed_at: datetime | None = PeriodicTasks.last_change()
    assert changed_at is not None
    return changed_at


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=NOW)


def test_a_job_is_stored_as_beat_reads_it_in_the_organisations_zone(hlf: Organisation) -> None:
    job = create_cron_job(organisation=hlf, name="weekly", cron_expression="30 1 * * SUN", now=NOW)

    beats = task_of(job)
    assert (job.cron_expression, job.timezone, job.alert_after_minutes) == ("30 1 * * 0", "Europe/Oslo", 60)
    assert (beats.crontab.hour, beats.crontab.day_of_week, str(beats.crontab.timezone)) == ("1", "0", "Europe/Oslo")
    assert beats.enabled


def test_a_second_job_of_the_same_name_is_refused(job: CronJob) -> None:
    with pytest.raises(CronJobExists, match="hlf has a job “nightly” already"):
        create_cron_job(organisation=job.organisation, name="nightly", now=NOW)

    assert CronJob.objects.get() == job


def test_a_job_does_not_take_the_name_of_another(job: CronJob) -> None:
    other = create_cron_job(organisation=job.organisation, name="noon", now=NOW)

    with pytest.raises(CronJobExists):
        change_cron_job(other, name="nightly", now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron_expression", "0 0 31 2 *"),
        ("timezone", "Europe/Asgard"),
        ("name", ""),
        ("alert_after_minutes", -1),
        ("alert_after_minutes", 2**31 - 1),
        ("alert_after_minutes", 7 * 24 * 60 + 1),
        ("enabled", False),
    ],
)
def test_a_refused_value_is_named_and_nothing_is_stored(hlf: Organisation, field: str, value: Any) -> None:
    values: Any = {"name": "nightly", field: value}

    with pytest.raises(ValidationError) as refused:
        create_cron_job(organisation=hlf, now=NOW, **values)

    assert list(refused.value.message_dict) == ["pause_note" if field == "enabled" else field]
    assert not PeriodicTask.objects.filter(task="cronjobs.nightly").exists()


def test_beat_notices_a_change_without_a_restart(job: CronJob) -> None:
    before = beat_last_saw_a_change()

    changed = change_cron_job(job, cron_expression="0 3 * * *", now=NOW + timedelta(hours=1))

    assert beat_last_saw_a_change() > before
    assert task_of(changed).crontab.hour == "3"
    assert changed.slots_from == NOW + timedelta(hours=1)


def test_beat_does_not_fire_at_once_for_a_new_time_that_has_passed_today(job: CronJob) -> None:
    now = timezone.now()
    an_hour_ago = now - timedelta(hours=1)
    PeriodicTask.objects.update(last_run_at=now - timedelta(days=2))

    change_cron_job(job, cron_expression=f"{an_hour_ago.minute} {an_hour_ago.hour} * * *", timezone="UTC", now=now)

    assert not ModelEntry(task_of(job)).is_due().is_due


@pytest.mark.parametrize("removed", [CronJob, Organisation])
def test_whatever_takes_a_job_away_takes_its_entry_along_and_beat_notices(job: CronJob, removed: type[Model]) -> None:
    other = create_cron_job(
        organisation=Organisation.objects.create(slug="other", name="Other"), name="nightly", now=NOW
    )
    PeriodicTasks.objects.update(last_update=NOW - timedelta(days=900))

    removed._default_manager.filter(**{"slug" if removed is Organisation else "organisation__slug": "hlf"}).delete()

    ours = PeriodicTask.objects.filter(task="cronjobs.nightly")
    assert [entry.pk for entry in ours] == [other.periodic_task_id]
    assert beat_last_saw_a_change() > NOW - timedelta(days=900)


@pytest.mark.parametrize("note", ["", "  "])
def test_a_job_is_switched_off_with_a_note_only(job: CronJob, note: str) -> None:
    with pytest.raises(ValidationError) as refused:
        change_cron_job(job, enabled=False, pause_note=note, now=NOW)

    assert refused.value.message_dict == {"pause_note": ["Say why the job is switched off."]}
    assert task_of(job).enabled


def test_who_switched_a_job_off_and_when_is_kept_until_it_is_on(job: CronJob) -> None:
    off = change_cron_job(job, enabled=False, pause_note=" Summer ", by="olav", now=NOW)
    beat_was_off = not task_of(job).enabled
    still_off = change_cron_job(off, pause_note="Summer, and autumn", by="kari", now=NOW + timedelta(hours=1))

    on = change_cron_job(job, enabled=True, by="kari", now=NOW + timedelta(hours=2))

    assert (off.pause_note, off.paused_by, off.paused_at, beat_was_off) == ("Summer", "olav", NOW, True)
    assert (still_off.paused_by, still_off.paused_at) == ("olav", NOW)
    assert (on.pause_note, on.paused_by, on.paused_at, task_of(job).enabled) == ("", "", None, True)


def test_slots_that_passed_while_a_job_was_off_are_kept_as_missed_when_it_is_on_and_nothing_is_made_up(
    job: CronJob,
) -> None:
    change_cron_job(job, enabled=False, pause_note="Summer", by="olav", now=NOW)

    on = change_cron_job(job, enabled=True, now=NOW + timedelta(days=3))
    sweep(now=NOW + timedelta(days=3, minutes=10))

    kept = Run.objects.order_by("scheduled_for")
    assert on.slots_from == NOW + timedelta(days=3)
    assert [run.scheduled_for for run in kept] == [NOW + timedelta(days=n, hours=12.5) for n in range(3)]
    assert {(run.status, run.error.in_english(), run.cause.in_english()) for run in kept} == {
        ("missed", "The job was switched off.", "Switched off by olav on 2026-11-21 12:00:00: Summer")
    }


def test_what_the_sweep_has_kept_of_a_pause_is_not_kept_twice(job: CronJob) -> None:
    change_cron_job(job, enabled=False, pause_note="Summer", now=NOW)
    sweep(now=NOW + timedelta(days=1))

    change_cron_job(job, enabled=True, now=NOW + timedelta(days=2))

    assert Run.objects.filter(status="missed").count() == 2


def test_a_slot_that_is_still_owed_when_the_schedule_changes_is_kept_as_missed(job: CronJob) -> None:
    an_hour_late = NOW + timedelta(hours=13.5)

    changed = change_cron_job(job, cron_expression="0 3 * * *", by="olav", now=an_hour_late)

    kept = Run.objects.get()
    assert (kept.status, kept.scheduled_for) == ("missed", NOW + timedelta(hours=12.5))
    assert kept.cause.in_english().endswith("Then olav changed the schedule.")
    assert changed.slots_from == an_hour_late


def test_a_schedule_that_nobody_can_read_can_still_be_mended(job: CronJob) -> None:
    CronJob.objects.update(cron_expression="nonsense")

    resolve_drift(job, keep="beat", now=NOW + timedelta(days=2))

    assert CronJob.objects.get().cron_expression == "30 0 * * *"


def test_a_change_of_another_field_keeps_the_slots(job: CronJob) -> None:
    changed = change_cron_job(job, alert_after_minutes=5, now=NOW + timedelta(days=3))

    assert (changed.alert_after_minutes, changed.slots_from) == (5, NOW)


def test_a_change_starts_from_the_row_as_it_is_now(job: CronJob) -> None:
    change_cron_job(job, alert_after_minutes=5, now=NOW)

    changed = change_cron_job(job, cron_expression="0 3 * * *", now=NOW)

    assert changed.alert_after_minutes == 5


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_are_both_kept(job: CronJob) -> None:
    def change_the_time() -> None:
        change_cron_job(job, cron_expression="0 3 * * *", now=NOW)
        connection.close()

    second = Thread(target=change_the_time)
    with transaction.atomic():
        change_cron_job(job, alert_after_minutes=5, now=NOW)
        second.start()
        wait_until_somebody_waits()
    second.join(PATIENCE)

    job.refresh_from_db()
    assert (job.alert_after_minutes, job.cron_expression) == (5, "0 3 * * *")


def test_a_job_that_was_removed_cannot_be_changed(job: CronJob) -> None:
    remove_cron_job(CronJob.objects.get())

    with pytest.raises(CronJob.DoesNotExist):
        change_cron_job(job, enabled=True, now=NOW)


def test_a_schedule_made_twice_is_one_job_with_the_last_values(hlf: Organisation) -> None:
    first = schedule_nightly_run(organisation=hlf, now=NOW)

    second = schedule_nightly_run(organisation=hlf, cron_expression="@weekly", alert_after_minutes=30, now=NOW)

    assert second == first == CronJob.objects.get()
    assert (second.cron_expression, second.alert_after_minutes) == ("0 0 * * 0", 30)


def test_two_rows_of_beat_that_are_alike_do_no_harm(job: CronJob) -> None:
    crontab_of_job = task_of(job).crontab
    crontab_of_job.pk = None
    crontab_of_job.save()

    another = create_cron_job(organisation=job.organisation, name="another", now=timezone.now())

    assert task_of(another).crontab.hour == "0"
