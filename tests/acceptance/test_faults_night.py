"""A night while something is broken: the whole service, with real processes and a clock that the test moves.

For each fault: the night is made up as soon as it can be, once; operations are told in time, once; the all-clear
follows; and the record says why. `make faults` writes what was seen into docs/operations.md.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from mentors.record_text import RecordText
from tests.acceptance.faults_table import DOCUMENT, FAULTS, Row, rows_in, write_row
from tests.support.fleet import MINUTE, OSLO, SLOT, Fleet, House, fleet, house, prepare

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]

BREAKS_AT = SLOT - 10 * MINUTE
ALERT_BY = SLOT + 62 * MINUTE  # the job's `alert_after_minutes`, and a step of the moved clock
MENDED_AT = SLOT + 90 * MINUTE
FIVE_HOURS = timedelta(hours=5)
CLEAR = "All clear: "


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house from which each test gets a copy; parallel test processes share it."""
    own = tmp_path_factory.getbasetemp()
    return prepare(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture
def the_house(prepared: Path, tmp_path: Path) -> Iterator[House]:
    with house(prepared, tmp_path / "house") as built:
        yield built


# ------------------------------------------------------------------------------------------------ what is always right


def local(moment: datetime) -> str:
    return moment.astimezone(OSLO).strftime("%H:%M")


def alarms(night: Fleet, event: str) -> dict[str, list[datetime]]:
    """Return when operations were told of each incident, by its key, as the records have it."""
    told: dict[str, list[datetime]] = {}
    rows = night.ask(
        "SELECT incident.key, alert.at FROM cronjobs_alert alert JOIN cronjobs_incident incident"
        " ON incident.id = alert.incident_id"
        " WHERE alert.event = %s AND alert.route LIKE 'apprise%%' AND alert.error = '' ORDER BY alert.at",
        event,
    )
    for key, at in rows:
        told.setdefault(key, []).append(at)
    return told


def assert_the_night_was_done_once(night: Fleet) -> tuple[str, datetime, str]:
    """Everybody whom the rules name was paused or reminded, once, by the one run of the slot; return what it says."""
    night.wait_for(
        "SELECT 1 FROM cronjobs_run WHERE scheduled_for = %s AND concluded_at IS NOT NULL", SLOT, what="the night's end"
    )
    [(status, trigger, cause, finished_at)] = night.ask(
        "SELECT status, trigger, cause, finished_at FROM cronjobs_run WHERE scheduled_for = %s", SLOT
    )
    done = Counter(night.ask("SELECT action || ' ' || dedupe_key FROM cronjobs_runitem WHERE status = 'done'"))
    by_action = Counter(key.split()[0] for key in done)
    changed = Counter(night.ask("SELECT mentor_id FROM mentors_statuschange WHERE to_status = 'paused'"))
    assert (status, set(done.values()), set(changed.values())) == ("succeeded", {1}, {1})
    assert by_action == {"pause": 7, "remind": 9}, by_action
    assert len(changed) == 7
    assert night.ask("SELECT count(*) FROM cronjobs_run WHERE scheduled_for = %s", SLOT) == [1]
    return trigger, finished_at, RecordText(cause).in_english()


def assert_every_message_left_once(night: Fleet) -> None:
    waiting = "SELECT 1 WHERE NOT EXISTS (SELECT FROM notifications_notification WHERE status IN ('queued', 'sending'))"
    night.wait_for(waiting, what="the end of the queue")
    assert night.mail
    ids = [
        mail["Message-ID"]
        for mail in night.mail.received
        if "List-Id" not in mail and mail["To"] != "drift@example.org"
    ]
    assert set(night.ask("SELECT DISTINCT status FROM notifications_notification")) == {"sent"}
    assert set(Counter(ids).values()) == {1}


def assert_told_once(night: Fleet, *, of: set[str], by: datetime = ALERT_BY) -> None:
    """Each incident was raised once, in time, and cleared once; and what the records say is what arrived."""
    night.wait_until(lambda: alarms(night, "cleared").keys() >= of, what="the all-clear")
    raised, cleared = alarms(night, "raised"), alarms(night, "cleared")
    assert raised.keys() == cleared.keys() == of, (raised, cleared, night.story())
    assert all(len(times) == 1 for times in (*raised.values(), *cleared.values())), (raised, cleared)
    assert all(at <= by for [at] in raised.values()), raised
    recorded = night.ask("SELECT count(*) FROM cronjobs_alert WHERE route LIKE 'apprise%%' AND error = ''")
    assert [len(night.heard)] == recorded


def note(night: Fleet, fault: str) -> None:
    """Keep what was seen for the table in the operations page, if it is being written."""
    trigger, finished_at, cause = assert_the_night_was_done_once(night)
    told = [f"{title} ({local(at)})" for at, title in night.heard if not title.startswith(("Still: ", CLEAR))]
    cleared = [f"{title.removeprefix(CLEAR)} ({local(at)})" for at, title in night.heard if title.startswith(CLEAR)]
    row = Row(
        fault=FAULTS[fault],
        alarm="; ".join(told),
        night=f"{local(finished_at)}, {'made up' if trigger == 'catch_up' else 'on schedule'}",
        all_clear="; ".join(cleared),
        record=cause or "nothing: it ran on schedule",
    )
    if os.environ.get("FAULTS_TABLE"):
        write_row(row)


# --------------------------------------------------------------------------------------------------------- the faults


@pytest.mark.parametrize("fault", [pytest.param("beat killed", marks=pytest.mark.canary), "beat frozen"])
def test_without_beat_the_watchdog_makes_the_night_up(the_house: House, fault: str) -> None:
    with fleet(the_house) as night:
        night.go_to(BREAKS_AT)
        if fault == "beat killed":
            night.kill("beat")
        else:
            night.freeze("beat")
        night.go_to(SLOT + 30 * MINUTE)
        night.go_to(BREAKS_AT + FIVE_HOURS, step=5 * MINUTE)
        if fault == "beat killed":
            night.start("beat")
        else:
            night.thaw("beat")
        night.go_to(BREAKS_AT + FIVE_HOURS + 10 * MINUTE)

        trigger, finished_at, cause = assert_the_night_was_done_once(night)
        assert (trigger, finished_at < SLOT + 30 * MINUTE) == ("catch_up", True)
        assert "beat" in cause.lower()
        assert_told_once(night, of={"component:beat"})
        assert_every_message_left_once(night)
        note(night, fault)


def test_without_redis_the_night_waits_and_is_done_as_soon_as_redis_is_back(the_house: House) -> None:
    with fleet(the_house) as night:
        night.go_to(BREAKS_AT)
        the_house.redis.stop()
        night.go_to(MENDED_AT)
        the_house.redis.start()
        night.go_to(MENDED_AT + 15 * MINUTE)

        _trigger, finished_at, cause = assert_the_night_was_done_once(night)
        assert finished_at >= MENDED_AT
        assert "broker" in cause.lower()
        assert_told_once(night, of={"component:broker", "night:1"})
        assert_every_message_left_once(night)
        note(night, "redis down")


def test_without_workers_the_night_waits_for_the_first_that_comes(the_house: House) -> None:
    with fleet(the_house) as night:
        night.go_to(BREAKS_AT)
        night.kill("worker")
        night.go_to(MENDED_AT)
        night.start("worker")
        night.go_to(MENDED_AT + 15 * MINUTE)

        _trigger, finished_at, cause = assert_the_night_was_done_once(night)
        assert finished_at >= MENDED_AT
        assert "worker" in cause.lower()
        assert_told_once(night, of={"component:workers", "night:1"})
        assert_every_message_left_once(night)
        note(night, "workers gone")


def test_a_database_that_stops_in_mid_run_is_named_and_the_run_goes_on_after_it(the_house: House) -> None:
    with fleet(the_house) as night:
        [mentor_id] = night.ask("SELECT min(id) FROM mentors_mentor WHERE ref = 'L001'")
        with suppress(psycopg.OperationalError), the_house.connect() as holder:
            holder.autocommit = False
            holder.execute("SELECT FROM mentors_mentor WHERE id = %s FOR NO KEY UPDATE", [mentor_id])
            night.go_to(SLOT + MINUTE, busy=["worker"])
            night.wait_for("SELECT 1 FROM cronjobs_run WHERE status = 'running'", what="the middle of the run")
            the_house.postgres.stop()
        # Meanwhile beat does not rest, and the worker has it in hand.
        night.go_to(SLOT + 20 * MINUTE, busy=["beat", "worker"])
        the_house.postgres.start()
        night.go_to(SLOT + 40 * MINUTE)

        _trigger, _finished_at, cause = assert_the_night_was_done_once(night)
        assert "database" in cause
        # The watchdog tells of it from its own memory, and of nothing else that could not be heard of meanwhile.
        both = "The database does not answer", f"{CLEAR}The database does not answer"
        night.wait_until(lambda: len(night.heard) >= 2, what="the all-clear")
        assert tuple(title for _at, title in night.heard) == both
        assert_every_message_left_once(night)
        note(night, "database restarted")


def test_a_web_server_that_is_down_is_told_of_and_keeps_no_night_waiting(the_house: House) -> None:
    with fleet(the_house, parts=()) as night:
        night.serve()
        night.start("beat", "worker", "watchdog")
        night.go_to(BREAKS_AT)
        night.kill("web")
        night.go_to(SLOT + 20 * MINUTE)
        night.serve()
        night.go_to(SLOT + 30 * MINUTE)

        trigger, finished_at, _cause = assert_the_night_was_done_once(night)
        assert (trigger, finished_at < SLOT + 10 * MINUTE) == ("schedule", True)
        assert_told_once(night, of={"web"})
        note(night, "web down")


def test_a_mail_server_that_is_down_undoes_nothing_and_the_alarm_takes_another_way(the_house: House) -> None:
    with fleet(the_house, parts=()) as night:
        assert night.mail
        night.mail.down()
        night.start("beat", "worker", "watchdog")
        night.go_to(MENDED_AT)
        assert night.mail.received == []
        night.mail.up()
        night.go_to(MENDED_AT + 180 * MINUTE, step=5 * MINUTE)

        trigger, finished_at, _cause = assert_the_night_was_done_once(night)
        assert (trigger, finished_at < SLOT + 10 * MINUTE) == ("schedule", True)
        assert_told_once(night, of={"delivery"})
        assert_every_message_left_once(night)
        note(night, "mail down")


def test_two_beats_for_a_week_make_one_run_a_slot(the_house: House) -> None:
    with fleet(the_house, parts=("beat", "beat-2", "worker")) as week:
        slots = [SLOT + timedelta(days=day) for day in range(7)]
        for slot in slots:
            week.go_to(slot - 2 * MINUTE, step=timedelta(days=1))
            week.go_to(slot + 3 * MINUTE)
            week.wait_for(
                "SELECT 1 FROM cronjobs_run WHERE scheduled_for = %s AND status = 'succeeded'", slot, what="its run"
            )

        runs = Counter(week.ask("SELECT scheduled_for FROM cronjobs_run"))
        sent = sum(week.processes[name].output.count('"slot sent"') for name in ("beat", "beat-2"))
        keys = Counter(week.ask("SELECT dedupe_key FROM cronjobs_runitem WHERE status = 'done'"))

    assert runs == dict.fromkeys(slots, 1)
    assert sent == 14  # both fired each slot
    assert set(keys.values()) == {1}


def test_the_table_in_the_operations_page_has_every_fault() -> None:
    assert [row.fault for row in rows_in(DOCUMENT.read_text())] == list(FAULTS.values())
