"""From a problem to an incident: opened once, notified once, again while it lasts, and cleared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from cronjobs.models import Alert, CronJob, Incident
from cronjobs.monitoring import incidents
from cronjobs.monitoring.alerts import AlertSender
from cronjobs.monitoring.problems import WATCHED, Problem
from cronjobs.schedules.jobs import create_cron_job
from mentors.models import Organisation
from mentors.record_text import verbatim
from notifications.models import Notification
from tests.cronjobs.conftest import SLOT, run_of, subjects
from tests.support.at_once import run_at_once
from tests.support.processes import free_port
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise
]

NOW = datetime(2026, 11, 21, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def job(hlf: Organisation) -> CronJob:
    return create_cron_job(organisation=hlf, name="nightly", now=SLOT - HOUR)


def a_problem(key: str = "drift:1", **fields: Any) -> Problem:
    values: dict[str, Any] = {
        "kind": Incident.Kind.DRIFT,
        "title": verbatim(f"Title of {key}"),
        "details": verbatim("More."),
        "began_at": NOW,
    }
    return Problem(key=key, **values | fields)


def look(*problems: Problem, at: datetime = NOW) -> bool:
    due = incidents.reconcile(problems, now=at, kinds=WATCHED)
    return incidents.notify(due, now=at, sender=AlertSender())


def bodies(alarms: Receiver) -> list[str]:
    return [json.loads(request.body)["message"] for request in alarms.received]


def test_an_incident_is_told_once_and_cleared_once(alarms: Receiver) -> None:
    for minutes in range(5):
        assert look(a_problem(), at=NOW + minutes * MINUTE)
    for minutes in range(5, 8):
        assert look(at=NOW + minutes * MINUTE)

    assert subjects(alarms) == ["Title of drift:1", "All clear: Title of drift:1"]
    incident = Incident.objects.get()
    assert (incident.seen_at, incident.notified_at) == (NOW, NOW)
    assert incident.ended_at == incident.cleared_at == NOW + 5 * MINUTE
    assert list(Alert.objects.order_by("at").values_list("event", "route", "error", "at")) == [
        ("raised", "apprise:json", "", NOW),
        ("cleared", "apprise:json", "", NOW + 5 * MINUTE),
    ]


def test_what_lasts_is_told_again_every_hour_of_the_first_day_and_every_day_after_it(alarms: Receiver) -> None:
    for half_hour in range(2 * 24 * 3):
        look(a_problem(), at=NOW + half_hour * 30 * MINUTE)

    told = subjects(alarms)
    assert told[0] == "Title of drift:1"
    assert set(told[1:]) == {"Still: Title of drift:1"}
    at = list(Alert.objects.order_by("at").values_list("at", flat=True))
    assert at == [NOW + hours * HOUR for hours in (*range(24), 47, 71)]


def test_what_comes_back_is_another_incident(alarms: Receiver) -> None:
    look(a_problem())
    look(at=NOW + MINUTE)
    look(a_problem(), at=NOW + 2 * MINUTE)

    assert [subject.partition(":")[0] for subject in subjects(alarms)] == [
        "Title of drift",
        "All clear",
        "Title of drift",
    ]


def test_what_no_route_took_is_tried_again(alarms: Receiver) -> None:
    alarms.always(500)
    assert not look(a_problem())
    assert not look(a_problem(), at=NOW + MINUTE)
    alarms.always(200)

    assert look(a_problem(), at=NOW + 2 * MINUTE)

    assert look(a_problem(), at=NOW + 3 * MINUTE)
    assert list(Alert.objects.order_by("at").values_list("event", "error")) == [
        ("raised", "The gateway answered 500."),
        ("raised", "The gateway answered 500."),
        ("raised", ""),
    ]
    assert Incident.objects.get().notified_at == NOW + 2 * MINUTE


def test_one_route_that_took_it_is_enough(alarms: Receiver, settings: Settings) -> None:
    settings.ALERT_URLS = [f"json://127.0.0.1:{free_port()}/", *settings.ALERT_URLS]

    assert look(a_problem())

    assert dict(Alert.objects.values_list("route", "error")) == {
        "apprise:json": "The gateway does not answer.",
        "apprise:json:2": "",
    }
    assert look(a_problem(), at=NOW + MINUTE)
    assert len(alarms.received) == 1


def test_an_alarm_that_could_not_be_told_and_is_over_is_one_message(alarms: Receiver) -> None:
    alarms.always(500)
    look(a_problem())
    look(at=NOW + MINUTE)
    alarms.received.clear()
    alarms.always(200)

    assert look(at=NOW + 2 * MINUTE)

    assert subjects(alarms) == ["All clear: Title of drift:1"]
    assert "No route took the alarm while it lasted" in bodies(alarms)[0]
    assert look(at=NOW + 3 * MINUTE)
    assert len(alarms.received) == 1


def test_an_all_clear_that_no_route_took_is_tried_again(alarms: Receiver) -> None:
    look(a_problem())
    alarms.always(500)
    assert not look(at=NOW + MINUTE)
    alarms.always(200)

    assert look(at=NOW + 2 * MINUTE)

    assert subjects(alarms)[1:] == ["All clear: Title of drift:1"] * 2
    incident = Incident.objects.get()
    assert (incident.ended_at, incident.cleared_at) == (NOW + MINUTE, NOW + 2 * MINUTE)
    assert "No route" not in bodies(alarms)[-1]


def test_routes_that_all_fail_are_tried_once_a_round_however_much_there_is_to_tell(alarms: Receiver) -> None:
    alarms.always(500)

    assert not look(*(a_problem(f"drift:{number}") for number in range(20)))

    assert len(alarms.received) == 1


def test_without_any_route_the_log_has_it_and_nothing_waits(caplog: pytest.LogCaptureFixture) -> None:
    assert look(a_problem())
    assert look(at=NOW + MINUTE)

    events = [record.msg["event_name"] for record in caplog.records if isinstance(record.msg, dict)]
    assert [event for event in events if event.startswith("alarm_")] == ["alarm_raised", "alarm_cleared"]


def test_a_claim_whose_watcher_was_killed_is_told_by_the_next(alarms: Receiver) -> None:
    [due] = incidents.reconcile([a_problem()], now=NOW, kinds=WATCHED)
    assert incidents.claim(due, now=NOW)  # and then the machine lost its power

    look(a_problem(), at=NOW + 4 * MINUTE)
    assert alarms.received == []
    look(a_problem(), at=NOW + 5 * MINUTE)
    look(a_problem(), at=NOW + 11 * MINUTE)

    assert subjects(alarms) == ["Title of drift:1"]


def test_a_watcher_that_is_stopped_in_the_middle_gives_its_claim_back(monkeypatch: pytest.MonkeyPatch) -> None:
    due = incidents.reconcile([a_problem()], now=NOW, kinds=WATCHED)

    def stop(*_args: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(AlertSender, "send", stop)
    with pytest.raises(SystemExit):
        incidents.notify(due, now=NOW, sender=AlertSender())

    assert Incident.objects.get().notified_at is None


def test_what_another_watcher_has_told_is_not_told_again(alarms: Receiver) -> None:
    mine = incidents.reconcile([a_problem()], now=NOW, kinds=WATCHED)
    theirs = incidents.reconcile([a_problem()], now=NOW, kinds=WATCHED)

    assert incidents.notify(theirs, now=NOW + MINUTE, sender=AlertSender())
    assert incidents.notify(mine, now=NOW, sender=AlertSender())

    assert len(alarms.received) == 1


def test_what_is_over_meanwhile_is_not_raised_any_more(alarms: Receiver) -> None:
    mine = incidents.reconcile([a_problem()], now=NOW, kinds=WATCHED)
    look(at=NOW + MINUTE)

    incidents.notify(mine, now=NOW, sender=AlertSender())

    assert subjects(alarms) == ["All clear: Title of drift:1"]


@pytest.mark.django_db(transaction=True)
def test_two_watchers_that_see_it_at_the_same_moment_tell_it_once(alarms: Receiver) -> None:
    def watch() -> list[bool]:
        problems = [a_problem(f"drift:{n}") for n in range(5)]
        return [look(*problems, at=NOW + minutes * MINUTE) for minutes in range(3)]

    answers = run_at_once(*[watch] * 4)

    assert answers == [[True] * 3] * 4
    assert sorted(subjects(alarms)) == [f"Title of drift:{n}" for n in range(5)]


def test_a_watcher_that_began_to_look_before_another_leaves_alone_what_that_one_did(alarms: Receiver) -> None:
    look(a_problem("drift:1"), at=NOW + MINUTE)
    look(at=NOW)  # had seen none
    assert Incident.objects.filter(ended_at=None).count() == 1

    look(at=NOW + 2 * MINUTE)
    look(a_problem("drift:1"), at=NOW + MINUTE)  # had seen it

    assert not Incident.objects.filter(ended_at=None).exists()
    assert len(alarms.received) == 2


def test_the_incidents_of_kinds_that_were_not_looked_at_stay(alarms: Receiver) -> None:
    web = a_problem("web", kind=Incident.Kind.WEB)
    incidents.notify(incidents.reconcile([web], now=NOW, kinds={Incident.Kind.WEB}), now=NOW, sender=AlertSender())

    look(at=NOW + MINUTE)

    assert Incident.objects.get().ended_at is None


def test_what_is_doubtful_opens_nothing_and_ends_nothing(alarms: Receiver) -> None:
    look(a_problem("component:broker", kind=Incident.Kind.COMPONENT, unconfirmed=True))
    assert not Incident.objects.exists()

    look(a_problem("component:broker", kind=Incident.Kind.COMPONENT), at=NOW + MINUTE)
    look(a_problem("component:broker", kind=Incident.Kind.COMPONENT, unconfirmed=True), at=NOW + 2 * MINUTE)

    assert Incident.objects.get().ended_at is None
    assert len(alarms.received) == 1


def test_the_number_of_questions_does_not_grow_with_what_is_wrong(django_assert_num_queries: Any) -> None:
    problems = [a_problem(f"drift:{number}") for number in range(30)]
    incidents.reconcile(problems[:1], now=NOW, kinds=WATCHED)

    with django_assert_num_queries(4):  # the open ones, those that were ended just now, the new ones, what is due
        incidents.reconcile(problems, now=NOW + MINUTE, kinds=WATCHED)
    with django_assert_num_queries(2):
        incidents.reconcile(problems, now=NOW + 2 * MINUTE, kinds=WATCHED)


# Nights: what is really there, and what is really sent.


def test_a_night_that_nobody_ran_is_told_with_its_slot_and_cause(job: CronJob, alarms: Receiver) -> None:
    incidents.look(now=SLOT + 61 * MINUTE)

    assert subjects(alarms) == ["Night not run: hlf nightly, 21 Nov 00:30"]
    [body] = bodies(alarms)
    assert "Nobody ran it. Likely cause: Beat has never been heard of." in body
    assert "Since: Sat 21 Nov 2026 00:30 Europe/Oslo" in body
    assert "docs/operations.md, “Night not in order”" in body


def test_a_run_that_is_red_is_told_at_once_with_its_id_and_nothing_of_anybody(job: CronJob, alarms: Receiver) -> None:
    counts = {"pause": {"planned": 3, "done": 1, "skipped": 0, "failed": 2}}
    run = run_of(job, status="partial", finished_at=SLOT + MINUTE, counts=counts, error=verbatim("kari@example.org"))

    incidents.look(now=SLOT + 2 * MINUTE)

    assert subjects(alarms) == ["Night done in part: hlf nightly, 21 Nov 00:30"]
    [body] = bodies(alarms)
    assert f"Its run is partial. 2 items failed. Run {run.pk}." in body
    assert "kari" not in body


def test_the_all_clear_of_a_night_says_when_its_run_was_closed_and_why_so_late(job: CronJob, alarms: Receiver) -> None:
    incidents.look(now=SLOT + 61 * MINUTE)
    run = run_of(job, created_at=SLOT + 2 * HOUR, finished_at=SLOT + 2 * HOUR, cause=verbatim("Beat was silent."))

    incidents.look(now=SLOT + 2 * HOUR + MINUTE)
    incidents.look(now=SLOT + 2 * HOUR + 2 * MINUTE)

    assert subjects(alarms)[1:] == ["All clear: Night not run: hlf nightly, 21 Nov 00:30"]
    said = f"Run {run.pk} was closed at Sat 21 Nov 2026 02:30 Europe/Oslo: succeeded. Beat was silent."
    assert said in bodies(alarms)[1]


def test_a_night_that_was_late_while_nobody_watched_is_told_all_the_same(job: CronJob, alarms: Receiver) -> None:
    run_of(job, finished_at=SLOT + 2 * HOUR)

    for minutes in range(4):
        incidents.look(now=SLOT + 3 * HOUR + minutes * MINUTE)

    title = "Night was late: hlf nightly, 21 Nov 00:30"
    assert subjects(alarms) == [title, f"All clear: {title}"]


def test_the_next_night_that_is_not_in_order_either_is_told_at_once(job: CronJob, alarms: Receiver) -> None:
    run_of(job, status="failed")
    incidents.look(now=SLOT + 61 * MINUTE)
    incidents.look(now=SLOT + DAY + 30 * MINUTE)  # still about the first: the second is not due
    told_before = len(alarms.received)

    incidents.look(now=SLOT + DAY + 60 * MINUTE)

    assert subjects(alarms)[told_before:] == ["Night not run: hlf nightly, 22 Nov 00:30"]
    assert Incident.objects.count() == 1


def test_a_late_run_is_told_to_the_coordinators_in_their_words_and_to_operations_as_an_alarm(
    job: CronJob, olav: Any, alarms: Receiver
) -> None:
    run_of(job, status="running", finished_at=None)

    for minutes in (59, 60, 61, 62):
        incidents.look(now=SLOT + minutes * MINUTE)

    assert subjects(alarms) == ["Night not finished: hlf nightly, 21 Nov 00:30"]
    late = Notification.objects.filter(kind="late")
    assert set(late.values_list("channel", flat=True)) == {"inbox", "email"}
    assert late.count() == 2


def test_a_run_that_waits_for_a_person_is_no_late_run(job: CronJob, olav: Any, alarms: Receiver) -> None:
    run_of(job, status="held", finished_at=None)

    incidents.look(now=SLOT + 2 * HOUR)

    assert subjects(alarms) == ["Night waits for a person: hlf nightly, 21 Nov 00:30"]
    assert not Notification.objects.filter(kind="late").exists()


def test_records_that_do_not_agree_are_told_of_until_they_do(alarms: Receiver) -> None:
    incidents.report_records({"hlf": ["run 1 was changed"], "other": []}, now=NOW)
    incidents.report_records({"hlf": ["run 1 was changed"], "other": []}, now=NOW + MINUTE)
    incidents.report_records({"hlf": [], "other": []}, now=NOW + 2 * MINUTE)

    assert subjects(alarms) == ["Records do not agree: hlf", "All clear: Records do not agree: hlf"]
