"""`/metrics`: what is counted, that it stays cheap, and who may ask."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.conf import settings
from django.test.utils import override_settings
from prometheus_client import CollectorRegistry

from cronjobs import heartbeats
from cronjobs.models import Alert, Component, CronJob, Forecast, Incident, Run, RunItem
from cronjobs.monitoring import problems
from cronjobs.monitoring.metrics import NightCollector
from cronjobs.records import retention
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Mentor, Organisation
from mentors.record_text import verbatim
from tests.conftest import Certify, Enrol
from tests.cronjobs.conftest import Message, run_of
from tests.support.nights import plan_night, run_night

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def value(name: str, *, at: datetime, **labels: str) -> float | None:
    """Return what a scrape at that moment says; None: nothing."""
    registry = CollectorRegistry()
    registry.register(NightCollector(now=at))
    return registry.get_sample_value(name, labels)


@pytest.fixture
def job(hlf: Organisation, now: datetime) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=now - 72 * HOUR)


class TestJobs:
    def test_the_last_success_of_a_job_is_when_its_newest_green_run_was_closed(
        self, job: CronJob, now: datetime
    ) -> None:
        labels = {"organisation": "hlf", "cron_job": str(job.pk)}
        before = value("nattevakt_job_last_success_timestamp_seconds", at=now, **labels)
        green = run_of(job, slot=now - 30 * HOUR)
        run_of(job, slot=now - 54 * HOUR)
        run_of(job, slot=now - 6 * HOUR, status=Run.Status.PARTIAL)
        run_of(job, slot=now - 5 * HOUR, dry_run=True)

        after = value("nattevakt_job_last_success_timestamp_seconds", at=now, **labels)

        assert before is None
        assert green.finished_at
        assert after == green.finished_at.timestamp()

    def test_a_job_is_in_order_exactly_if_the_watch_finds_no_fault(self, job: CronJob, now: datetime) -> None:
        labels = {"organisation": "hlf", "cron_job": str(job.pk)}
        [night] = problems.last_nights(now=now)
        assert night.slot

        missed = value("nattevakt_job_in_order", at=now, **labels)
        run_of(job, slot=night.slot)
        made_up = value("nattevakt_job_in_order", at=now, **labels)

        assert (missed, made_up) == (0, 1)

    def test_a_job_that_is_switched_off_says_so_and_is_not_judged(self, job: CronJob, now: datetime) -> None:
        CronJob.objects.update(enabled=False, pause_note="Summer.")
        labels = {"organisation": "hlf", "cron_job": str(job.pk)}

        assert value("nattevakt_job_enabled", at=now, **labels) == 0
        assert value("nattevakt_job_in_order", at=now, **labels) is None

    def test_the_forecast_of_the_coming_night_is_told_and_an_old_one_is_not(
        self, hlf: Organisation, now: datetime, today: date
    ) -> None:
        def expected() -> float | None:
            return value("nattevakt_forecast_items", at=now, organisation="hlf", action="pause")

        Forecast.objects.create(
            organisation=hlf, business_date=today - timedelta(days=2), expected={"pause": 9}, written_at=now
        )
        old = expected()
        for days, count in ((0, 3), (1, 4)):
            Forecast.objects.create(
                organisation=hlf, business_date=today + timedelta(days=days), expected={"pause": count}, written_at=now
            )

        assert (old, expected()) == (None, 4)


class TestRecords:
    def test_a_night_counts_by_status_and_its_items_by_action_and_status(
        self, hlf: Organisation, certify: Certify, enrol: Enrol, today: date, now: datetime
    ) -> None:
        for days in (-1, -1, 7):
            certify(enrol(), expires_in=days)

        run_night(hlf, today, in_between=lambda: Mentor.objects.filter(ref="M1").update(status="ended"))

        assert value("nattevakt_runs", at=now, organisation="hlf", status="succeeded") == 1
        assert value("nattevakt_runs", at=now, organisation="hlf", status="failed") == 0
        counted = {
            (action, status): value("nattevakt_items", at=now, organisation="hlf", action=action, status=status)
            for action in ("pause", "remind")
            for status in ("done", "skipped")
        }
        assert counted == {
            ("pause", "done"): 1, ("pause", "skipped"): 1, ("remind", "done"): 1, ("remind", "skipped"): 0,
        }  # fmt: skip

    def test_pruning_the_records_changes_nothing(
        self, hlf: Organisation, certify: Certify, enrol: Enrol, today: date, now: datetime
    ) -> None:
        for days in (-1, -1, 7):
            certify(enrol(), expires_in=days)
        run_night(hlf, today, in_between=lambda: Mentor.objects.filter(ref="M1").update(status="ended"))
        run_night(hlf, today + timedelta(days=1))

        def sums() -> list[float | None]:
            runs = [value("nattevakt_runs", at=now, organisation="hlf", status=status) for status in Run.Status.values]
            items = [
                value("nattevakt_items", at=now, organisation="hlf", action=action, status=status)
                for action in ("pause", "remind")
                for status in ("done", "skipped", "failed")
            ]
            return runs + items

        before = sums()
        retention.prune(now=now + timedelta(days=366 * (settings.RECORDS_YEARS + 1)))

        assert not Run.objects.exists()
        assert before == sums() == [0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 1, 0, 0]

    def test_a_dry_run_does_not_count(self, job: CronJob, now: datetime) -> None:
        run_of(job, slot=now, dry_run=True, counts={"pause": {"planned": 5, "done": 5, "skipped": 0, "failed": 0}})

        assert value("nattevakt_runs", at=now, organisation="hlf", status="succeeded") == 0
        assert value("nattevakt_items", at=now, organisation="hlf", action="pause", status="done") == 0


class TestOpenRuns:
    def test_items_are_pending_from_the_plan_on_and_stuck_once_nobody_touched_them(
        self, hlf: Organisation, certify: Certify, mentor: Mentor, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=7)
        plan_night(hlf, today, now=now)
        labels = {"organisation": "hlf", "action": "remind"}
        patience = timedelta(seconds=settings.NIGHTLY_STUCK_SECONDS)

        assert value("nattevakt_pending_items", at=now, **labels) == 1
        assert value("nattevakt_stuck_items", at=now + patience, **labels) == 0
        assert value("nattevakt_stuck_items", at=now + patience + timedelta(seconds=1), **labels) == 1
        assert value("nattevakt_pending_items", at=now, organisation="hlf", action="pause") == 0

    def test_the_pauses_of_a_held_run_wait_for_a_person_and_are_not_stuck(
        self, hlf: Organisation, certify: Certify, enrol: Enrol, today: date, now: datetime
    ) -> None:
        Organisation.objects.update(brake_minimum=0, brake_percent=0)
        certify(enrol(), expires_in=-1)
        certify(enrol(), expires_in=7)
        hlf.refresh_from_db()
        run = plan_night(hlf, today, now=now)
        later = now + 5 * HOUR

        assert run.status == Run.Status.HELD
        assert value("nattevakt_pending_items", at=later, organisation="hlf", action="pause") == 1
        assert value("nattevakt_stuck_items", at=later, organisation="hlf", action="pause") == 0
        assert value("nattevakt_stuck_items", at=later, organisation="hlf", action="remind") == 1
        assert value("nattevakt_open_run_age_seconds", at=later, organisation="hlf", status="held") == 5 * 3600

    def test_an_open_run_has_an_age_and_a_closed_one_has_none(
        self, hlf: Organisation, certify: Certify, mentor: Mentor, today: date, now: datetime
    ) -> None:
        labels = {"organisation": "hlf", "status": "running"}
        certify(mentor, expires_in=7)

        run = plan_night(hlf, today, now=now)
        at_work = value("nattevakt_open_run_age_seconds", at=now + HOUR, **labels)
        RunItem.objects.update(status=RunItem.Status.SKIPPED)
        Run.objects.filter(pk=run.pk).update(status=Run.Status.SUCCEEDED, finished_at=now)

        assert at_work == 3600
        assert value("nattevakt_open_run_age_seconds", at=now + HOUR, **labels) is None


class TestMessages:
    def test_messages_count_by_channel_and_status_and_those_that_left_do_not(
        self, message: Message, now: datetime
    ) -> None:
        for status in ("queued", "queued", "sending", "failed", "sent", "cancelled"):
            message(status=status)
        message(status="failed", channel="sms")

        counted = {
            (channel, status): value("nattevakt_messages", at=now, channel=channel, status=status)
            for channel in ("email", "sms")
            for status in ("queued", "sending", "failed", "sent", "cancelled")
        }

        assert {key: count for key, count in counted.items() if count} == {
            ("email", "queued"): 2, ("email", "sending"): 1, ("email", "failed"): 1, ("sms", "failed"): 1,
        }  # fmt: skip
        assert counted["email", "sent"] is None

    def test_a_message_is_overdue_from_when_it_could_have_left(self, message: Message, now: datetime) -> None:
        message(next_attempt_at=now + HOUR)  # waits for the sending hours
        waiting = value("nattevakt_oldest_due_message_age_seconds", at=now, channel="email")
        message(next_attempt_at=now - HOUR / 2)
        message(next_attempt_at=now - HOUR, status="sending")

        overdue = value("nattevakt_oldest_due_message_age_seconds", at=now, channel="email")

        assert (waiting, overdue) == (0, 1800)

    def test_a_message_that_waits_for_its_next_attempt_was_tried_in_vain(self, message: Message, now: datetime) -> None:
        message(attempts=2, next_attempt_at=now + HOUR, error=verbatim("Unreachable"))
        message(attempts=0)

        assert value("nattevakt_messages_retried", at=now, channel="email") == 1


class TestTheWatch:
    def test_a_part_has_the_age_of_its_last_heartbeat_and_an_infinite_one_if_it_never_had_any(
        self, now: datetime
    ) -> None:
        heartbeats.record_heartbeat(Component.BEAT, now=now - timedelta(seconds=42))

        assert value("nattevakt_heartbeat_age_seconds", at=now, component="beat") == 42
        assert value("nattevakt_heartbeat_age_seconds", at=now, component="watchdog") == float("inf")
        assert value("nattevakt_heartbeat_tolerance_seconds", at=now, component="beat") == 90

    def test_a_clock_that_is_ahead_makes_no_negative_age(self, now: datetime) -> None:
        heartbeats.record_heartbeat(Component.BEAT, now=now + timedelta(seconds=2))

        assert value("nattevakt_heartbeat_age_seconds", at=now, component="beat") == 0

    def test_incidents_count_by_kind_while_they_last(self, now: datetime) -> None:
        for number, ended_at in enumerate((None, None, now)):
            Incident.objects.create(
                kind="component", key=str(number), title=verbatim(""), began_at=now, seen_at=now, ended_at=ended_at
            )

        assert value("nattevakt_incidents_open", at=now, kind="component") == 2
        assert value("nattevakt_incidents_open", at=now, kind="night") == 0

    @override_settings(OPERATIONS_EMAIL="drift@example.org", ALERT_URLS=["json://user:secret@example.org/"])
    def test_a_route_is_proved_by_an_alert_that_got_through(self, now: datetime) -> None:
        incident = Incident.objects.create(kind="test", key="test", title=verbatim(""), began_at=now, seen_at=now)
        for route, at, error in (
            ("email", now - HOUR, ""),
            ("email", now - 2 * HOUR, ""),
            ("email", now, "SMTPServerDisconnected"),
            ("a route of last year", now, ""),
        ):
            Alert.objects.create(incident=incident, event="raised", route=route, at=at, error=error)

        def proof(route: str) -> float | None:
            return value("nattevakt_alarm_last_proof_timestamp_seconds", at=now, route=route)

        assert proof("email") == (now - HOUR).timestamp()
        assert proof("apprise:json") == 0
        assert proof("a route of last year") is None
