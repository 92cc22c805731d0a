"""Every “once” and every “never”, broken on purpose: real processes, killed, cut off and doubled in mid-run.

Each test makes a crowd of which it knows what the night must do to whom, breaks something at a moment that it has
made sure of (a lock holds the worker inside a batch), lets the run come to its end by itself or by the sweep, and
then asks `assert_night_is_right`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from functools import partial
from itertools import count, cycle, islice, pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import psutil
import psycopg
import pytest
from celery import current_app
from django.apps import apps
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from certifications.models import Certification, CertificationType
from certifications.recording import renew_certification
from cronjobs import nightly, queue, schedule
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob, Run, RunItem
from cronjobs.sweep import sweep
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from notifications.channels import EMAIL, INBOX
from notifications.models import Notification
from tests.support.mail import SILENT, always, mail_server
from tests.support.nights import plan_night
from tests.support.processes import (
    PROJECT,
    Process,
    empty_broker,
    free_port,
    live_environment,
    running,
    wait_until,
    worker,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]

COURSE, SECRECY, SIGN_LANGUAGE = "likepersonkurs", "taushetserklaering", "tegnsprak"
LONG_AGO = "Paused before this night."
SIX_MINUTES = timedelta(minutes=6)  # more than NIGHTLY_STUCK_SECONDS

# ---------------------------------------------------------------------------------------- a crowd, and what is right


@dataclass(frozen=True, kw_only=True)
class Fate:
    """A kind of mentor: how they stand before the night, and whether it has to pause or to resume them."""

    status: Mentor.Status = Mentor.Status.ACTIVE
    pause_cause: Mentor.PauseCause | None = None
    expires_in: dict[str, int]  # days, by type
    pauses: bool = False
    resumes: bool = False

    @property
    def status_after(self) -> str:
        return "paused" if self.pauses else "active" if self.resumes else self.status.value


paused = partial(Fate, status=Mentor.Status.PAUSED)
paused_by_a_night = partial(paused, pause_cause=Mentor.PauseCause.CERTIFICATION_EXPIRED)
LAPSED = Fate(expires_in={COURSE: -10, SECRECY: 300}, pauses=True)
LAPSED_AND_DUE = Fate(expires_in={COURSE: -10, SIGN_LANGUAGE: 6}, pauses=True)
DUE = Fate(expires_in={COURSE: 5})
DUE_TWICE = Fate(expires_in={COURSE: 5, SIGN_LANGUAGE: 13})
RENEWED = paused_by_a_night(expires_in={COURSE: 300}, resumes=True)
RENEWED_AND_DUE = paused_by_a_night(expires_in={COURSE: 28}, resumes=True)
STILL_LAPSED = paused_by_a_night(expires_in={COURSE: -40})
PAUSED_BY_HAND = paused(pause_cause=Mentor.PauseCause.MANUAL, expires_in={COURSE: -10})
ENDED = Fate(status=Mentor.Status.ENDED, expires_in={COURSE: 5, SECRECY: -10})
VALID = Fate(expires_in={COURSE: 300, SECRECY: 31})
EVERYBODY = (
    LAPSED,
    DUE,
    RENEWED,
    VALID,
    LAPSED_AND_DUE,
    DUE_TWICE,
    RENEWED_AND_DUE,
    STILL_LAPSED,
    PAUSED_BY_HAND,
    ENDED,
)
WITH_TWO_ITEMS = (LAPSED_AND_DUE, DUE_TWICE, RENEWED_AND_DUE)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A mentor, and the dedupe keys of what the night has to do to them."""

    pk: int
    fate: Fate
    keys: frozenset[str]
    coordinators: frozenset[int]

    @property
    def is_told(self) -> bool:
        """A paused mentor's reminders go to coordinators only (rule 12)."""
        return bool(self.keys) and (self.fate.status_after != "paused" or self.fate.pauses)


@dataclass(frozen=True, kw_only=True)
class Crowd:
    organisation: Organisation
    on: date
    people: tuple[Person, ...]

    @property
    def busy(self) -> list[int]:
        """The mentors to whom something is to be done, in the order of the batches."""
        return [person.pk for person in self.people if person.keys]

    def only(self, mentor_ids: Collection[int]) -> Crowd:
        return replace(self, people=tuple(person for person in self.people if person.pk in mentor_ids))


def gather(size: int, *fates: Fate, slug: str = "hlf") -> Crowd:
    """Make an organisation of `size` mentors, who have the fates in turn. Its messages wait: sending hours are over."""
    organisation, coordinators = found(slug)
    on = organisation.local_date(timezone.now())
    mentors = enrol(organisation, islice(cycle(fates or EVERYBODY), size))
    reminders = certify(organisation, mentors, on=on)
    changes = pause_and_resume_keys(mentors)
    column("ANALYZE mentors_mentor, certifications_certification")  # as autovacuum does within a minute
    people = (
        Person(
            pk=mentor.pk,
            fate=fate,
            keys=frozenset(reminders[mentor.pk] | changes[mentor.pk]),
            coordinators=coordinators[mentor.chapter_id],
        )
        for mentor, fate in mentors.items()
    )
    return Crowd(organisation=organisation, on=on, people=tuple(people))


def found(slug: str) -> tuple[Organisation, dict[int, frozenset[int]]]:
    """Make an organisation; return it, and whom to tell in each of its chapters. Bergen has nobody of its own."""
    organisation = Organisation.objects.create(slug=slug, name=slug.upper(), brake_percent=100)
    close_the_sending_hours(organisation)
    oslo, bergen = (Chapter.objects.create(organisation=organisation, name=n, slug=n) for n in ("oslo", "bergen"))
    kari, per, olav = (User.objects.create_user(f"{n}-{slug}", f"{n}@example.org") for n in ("kari", "per", "olav"))
    for user, chapter in ((kari, oslo), (per, oslo), (olav, None)):
        CoordinatorRole.objects.create(user=user, organisation=organisation, chapter=chapter)
    for code in (COURSE, SECRECY, SIGN_LANGUAGE):
        required = code != SIGN_LANGUAGE
        CertificationType.objects.create(organisation=organisation, code=code, name=code, required=required)
    return organisation, {oslo.pk: frozenset({kari.pk, per.pk}), bergen.pk: frozenset({olav.pk})}


def enrol(organisation: Organisation, fates: Iterable[Fate]) -> dict[Mentor, Fate]:
    oslo, bergen = Chapter.objects.filter(organisation=organisation).order_by("id")
    fate_of = dict(enumerate(fates))
    mentors = Mentor.objects.bulk_create(
        Mentor(
            organisation=organisation,
            chapter=bergen if number // 3 % 2 else oslo,
            ref=f"M{number:04}",
            name=f"Mentor {number}",
            email=f"m{number}@example.org",
            status=fate.status,
            pause_cause=fate.pause_cause,
        )
        for number, fate in fate_of.items()
    )
    return dict(zip(mentors, fate_of.values(), strict=True))


def certify(organisation: Organisation, mentors: dict[Mentor, Fate], *, on: date) -> dict[int, set[str]]:
    """Give everybody what their fate says; return the keys of the reminders due, by mentor."""
    types = {type.code: type for type in CertificationType.objects.filter(organisation=organisation)}
    issued_on = on - timedelta(days=365)
    certifications = Certification.objects.bulk_create(
        Certification(
            mentor=mentor, type=types[code], number="1", issued_on=issued_on, expires_on=on + timedelta(days=days)
        )
        for mentor, fate in mentors.items()
        for code, days in fate.expires_in.items()
    )
    keys: dict[int, set[str]] = {mentor.pk: set() for mentor in mentors}
    for certification in certifications:
        assert certification.expires_on
        days = (certification.expires_on - on).days
        if 0 <= days <= 30 and certification.mentor.status != Mentor.Status.ENDED:
            stage = min(stage for stage in (30, 14, 7) if days <= stage)
            keys[certification.mentor_id].add(f"remind:{certification.pk}:{certification.expires_on}:{stage}")
    return keys


def pause_and_resume_keys(mentors: dict[Mentor, Fate]) -> dict[int, set[str]]:
    """Log when the paused were paused; return the keys of the pauses and resumes due, by mentor."""
    changes = StatusChange.objects.bulk_create(
        StatusChange(
            mentor=mentor,
            from_status="active",
            to_status="paused",
            cause=mentor.pause_cause,
            reason=LONG_AGO,
            at=timezone.now() - timedelta(days=9),
        )
        for mentor in mentors
        if mentor.pause_cause
    )
    paused_by = {change.mentor_id: change.pk for change in changes}
    return {
        mentor.pk: {f"pause:{mentor.pk}:0"}
        if fate.pauses
        else {f"resume:{mentor.pk}:{paused_by[mentor.pk]}"}
        if fate.resumes
        else set()
        for mentor, fate in mentors.items()
    }


def close_the_sending_hours(organisation: Organisation) -> None:
    in_six_hours = timezone.now().astimezone(ZoneInfo(organisation.timezone)) + timedelta(hours=6)
    organisation.sending_from = in_six_hours.time()
    organisation.sending_until = (in_six_hours + timedelta(hours=1)).time()
    organisation.save()


def send_at_all_hours(organisation: Organisation) -> None:
    organisation.sending_from = organisation.sending_until = time(0)
    organisation.save()


def assert_night_is_right(run: Run, crowd: Crowd, *, failed: Collection[int] = ()) -> None:
    """Check every invariant of design, section 6; `failed` are the mentors whose items must have failed."""
    run.refresh_from_db()
    done = [person for person in crowd.people if person.pk not in failed]

    # The run is closed, and green exactly when nothing failed.
    assert run.finished_at is not None
    assert run.status == (Run.Status.PARTIAL if failed else Run.Status.SUCCEEDED), run.error

    # Every item there should be, done or failed as it should be, and no other: nothing missing.
    expected = {key: "failed" if person.pk in failed else "done" for person in crowd.people for key in person.keys}
    assert dict(run.items.values_list("dedupe_key", "status")) == expected

    assert_books_balance(run)
    assert_nothing_was_done_twice()

    # Paused and resumed are exactly those who should be, each by one logged change.
    changes = StatusChange.objects.filter(run_id=run.pk).values_list("mentor_id", "from_status", "to_status")
    assert sorted(changes) == sorted(
        (person.pk, person.fate.status.value, person.fate.status_after)
        for person in done
        if person.fate.pauses or person.fate.resumes
    )
    assert_every_change_is_logged_once(crowd)
    statuses = dict(Mentor.objects.filter(pk__in=[person.pk for person in crowd.people]).values_list("pk", "status"))
    assert statuses == {
        person.pk: person.fate.status.value if person.pk in failed else person.fate.status_after
        for person in crowd.people
    }
    lapsed_and_active = {person.pk for person in crowd.people if person.fate.pauses and statuses[person.pk] == "active"}
    assert lapsed_and_active == {person.pk for person in crowd.people if person.fate.pauses and person.pk in failed}

    # One message a mentor, one line in the inbox a coordinator and happening, one digest a coordinator.
    messages = Notification.objects.filter(run_id=run.pk).order_by()
    night = messages.filter(kind=Notification.Kind.NIGHT).values_list("recipient_mentor_id", flat=True)
    assert sorted(night) == sorted(person.pk for person in done if person.is_told)
    inbox = messages.filter(channel=INBOX, about__isnull=False)
    assert sorted(inbox.values_list("dedupe_key", flat=True)) == sorted(
        f"{key}:inbox:{user}" for person in done for key in person.keys for user in person.coordinators
    )
    digests = messages.filter(kind=Notification.Kind.DIGEST).values_list("recipient_user_id", flat=True)
    assert sorted(digests) == sorted({user for person in done if person.keys for user in person.coordinators})


def assert_books_balance(run: Run) -> None:
    ledger = Counter(run.items.order_by().values_list("action", "status"))
    assert ledger.total() == sum(booked["planned"] for booked in run.counts.values())
    for action, booked in run.counts.items():
        assert booked["planned"] == booked["done"] + booked["skipped"] + booked["failed"]
        for status in ("done", "skipped", "failed"):
            assert booked[status] == ledger[action, status]


def assert_nothing_was_done_twice() -> None:
    done = Counter(RunItem.objects.filter(status=RunItem.Status.DONE).values_list("dedupe_key", flat=True))
    assert [key for key, times in done.items() if times > 1] == []


def assert_every_change_is_logged_once(crowd: Crowd) -> None:
    """Compare the log with the history that database triggers keep, which knows nothing of it."""
    pks = [person.pk for person in crowd.people]
    logged = StatusChange.objects.filter(mentor__in=pks).exclude(reason=LONG_AGO).order_by("id")
    history = apps.get_model("mentors", "MentorEvent")._default_manager.filter(pgh_obj__in=pks).order_by("pgh_id")
    in_the_log, in_the_history = ({pk: [] for pk in pks} for _ in range(2))  # type: Any, Any
    for pk, before, after in logged.values_list("mentor_id", "from_status", "to_status"):
        in_the_log[pk].append((before, after))
    for pk, status in history.values_list("pgh_obj_id", "status"):
        in_the_history[pk].append(status)
    assert in_the_log == {pk: list(pairwise(statuses)) for pk, statuses in in_the_history.items()}


# ------------------------------------------------------------------------------------------------- breaking things


class Hold:
    """A row lock on some mentors: whoever works on them stands still in the middle of a transaction."""

    def __init__(self, connection: psycopg.Connection[Any], mentor_ids: Sequence[int]) -> None:
        self.connection = connection
        connection.execute(
            "SELECT 1 FROM mentors_mentor WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(mentor_ids)]
        )

    def waiting(self) -> list[int]:
        """List the backends that wait for it."""
        return column(
            "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))",
            self.connection.info.backend_pid,
        )

    def release(self) -> None:
        self.connection.rollback()


@contextmanager
def hold(*mentor_ids: int) -> Iterator[Hold]:
    with psycopg.connect(live_environment()["DATABASE_URL"]) as connection:
        held = Hold(connection, mentor_ids)
        yield held
        held.release()


def column(sql: str, *params: int | list[int]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def terminate(backends: Collection[int]) -> None:
    """End the connections from the server's side, and wait until they are gone with their locks."""
    column("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", list(backends))
    wait_until(lambda: not set(backends) & set(other_backends()), what="the end of the connections")


def other_backends() -> list[int]:
    return column(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )


def kill_children(process: Process) -> None:
    """Kill the pool's processes and not the one that leads them."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


@contextmanager
def broken_row(mentor_id: int) -> Iterator[None]:
    """Let the database refuse every change of one mentor."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;"
            " CREATE TRIGGER refuse BEFORE UPDATE ON mentors_mentor"
            f" FOR EACH ROW WHEN (NEW.id = {mentor_id:d}) EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION refuse CASCADE")


AT_ONCE = """
import os, sys, traceback, django; django.setup()
from django.db import connection
from django.utils import timezone
from cronjobs import schedule
from cronjobs.cron import latest_slot
from cronjobs.models import CronJob
from cronjobs.sweep import sweep

for _ in range({count}):
    if os.fork() == 0:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock_shared(1)")
            {statement}
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
sys.exit(any([os.wait()[1] for _ in range({count})]))
"""
AT_THE_GATE = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND %s = ANY(pg_blocking_pids(pid))
"""


def do_at_once(count: int, statement: str) -> str:
    """Execute the statement in so many processes, which wait for each other at a gate; return what they wrote."""
    command = (sys.executable, "-c", AT_ONCE.format(count=count, statement=statement))
    with (
        psycopg.connect(live_environment()["DATABASE_URL"], autocommit=True) as gate,
        running(*command, env=live_environment()) as processes,
    ):
        gate.execute("SELECT pg_advisory_lock(1)")
        processes.wait_until(lambda: column(AT_THE_GATE, gate.info.backend_pid) == [count], what="the gate")
        gate.execute("SELECT pg_advisory_unlock(1)")
        wait_until(lambda: processes.has_ended, what="the end of all processes")
        assert processes.popen.returncode == 0, processes.output
        return processes.output


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int
    stdout: str
    complaints: list[str]  # lines of standard error that are not the log's

    @property
    def run(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.stdout)["run"])


@contextmanager
def nightly_command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start `manage.py nightly` for the time of a block."""
    command = [sys.executable, "manage.py", "nightly", "--organisation=hlf", "--format=json", *arguments]
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=live_environment(**environment),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome_of(process: subprocess.Popen[str]) -> Outcome:
    stdout, stderr = process.communicate(timeout=60)
    complaints = [line for line in stderr.splitlines() if not line.startswith("{")]
    return Outcome(code=process.returncode, stdout=stdout, complaints=complaints)


def run_command(*arguments: str, **environment: str) -> Outcome:
    with nightly_command(*arguments, **environment) as process:
        return outcome_of(process)


# --------------------------------------------------------------------------------------------- running the night


@pytest.fixture(autouse=True)
def clean_house(transactional_db: None, settings: Settings) -> Iterator[None]:
    """Begin with an empty queue, and leave no connection behind that would block the cleaning of the tables."""
    empty_broker()
    settings.NIGHTLY_MAX_SUBTASKS = 30
    yield
    terminate(other_backends())
    empty_broker()


def start_night(crowd: Crowd) -> Run:
    return schedule.execute_expiry_check(
        organisation=crowd.organisation, actions=nightly.ALL_ACTIONS, now=timezone.now()
    )


def only_run(crowd: Crowd) -> Run:
    return Run.objects.get(organisation=crowd.organisation)


def is_closed(run: Run) -> bool:
    return not Run.objects.open().filter(pk=run.pk).exists()


def done_and_pending(run: Run) -> tuple[int, int]:
    items = RunItem.objects.filter(run=run)
    return items.filter(status=RunItem.Status.DONE).count(), items.pending().count()


def assert_mid_run(run: Run) -> None:
    done, pending = done_and_pending(run)
    assert done > 0
    assert pending > 0


def bring_to_its_end(run: Run, sweep_once: Callable[[], object] | None = None) -> None:
    """Sweep as beat does, until the run is closed. The clock is put forward instead of waited for."""
    later = count(1)

    def in_process() -> None:
        sweep(now=timezone.now() + next(later) * SIX_MINUTES)

    def closed_after_a_sweep() -> bool:
        (sweep_once or in_process)()
        with suppress(AssertionError):
            wait_until(lambda: is_closed(run), seconds=3)
        return is_closed(run)

    wait_until(closed_after_a_sweep, what="the end of the run")


# -------------------------------------------------------------------------------------------------------- the faults


def test_a_killed_worker_loses_nothing_and_repeats_nothing() -> None:
    crowd = gather(450)
    with worker() as victim, hold(crowd.busy[100], crowd.busy[150]) as held:
        run = start_night(crowd)
        victim.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
        victim.kill()
    assert_mid_run(run)

    with worker():
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_a_killed_child_has_its_batch_delivered_again() -> None:
    crowd = gather(60)
    with worker("worker_lost_wait=0.5", concurrency=1) as lone:
        with hold(crowd.busy[10]) as held:
            run = start_night(crowd)
            lone.wait_until(held.waiting, what="the child inside the batch")
            kill_children(lone)
            terminate(held.waiting())
        lone.wait_until(lambda: is_closed(run), what="the end of the run, without a sweep")

    assert_night_is_right(run, crowd)
    assert set(run.items.filter(mentor=crowd.busy[10]).values_list("attempts", flat=True)) == {1}


@pytest.mark.parametrize("fault", ["death", "connection loss"])
def test_a_mentor_on_whom_every_attempt_breaks_stops_only_itself(fault: str) -> None:
    crowd = gather(60)
    poison = crowd.busy[10]
    stubborn = worker("worker_lost_wait=0.5", concurrency=1, NIGHTLY_MAX_ATTEMPTS="3", NIGHTLY_RETRY_SECONDS="1")
    with stubborn as lone, hold(poison) as held:
        run, blows = start_night(crowd), 0
        while lone.wait_until(lambda: held.waiting() or is_closed(run), what="the next attempt") is not True:
            blows += 1
            assert blows < 10, "it goes on for ever"
            if fault == "death":
                kill_children(lone)
            terminate(held.waiting())

    # Deaths: twice in its batch, the second time counted, and twice alone. Errors: once in its batch, thrice alone.
    assert blows == 4
    assert_night_is_right(run, crowd, failed=[poison])
    errors = set(run.items.filter(mentor=poison).values_list("error", flat=True))
    assert len(errors) == 1
    assert errors.pop().startswith("Given up: " if fault == "death" else "OperationalError: ")


def test_what_an_emptied_redis_forgets_is_handed_out_again_by_the_sweep_task() -> None:
    crowd = gather(300)
    with worker(NIGHTLY_STUCK_SECONDS="1") as survivor:
        with hold(crowd.busy[60], crowd.busy[90]) as held:
            run = start_night(crowd)
            survivor.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
            empty_broker()
        assert_mid_run(run)
        bring_to_its_end(run, partial(current_app.send_task, "cronjobs.sweep"))

    assert_night_is_right(run, crowd)


@pytest.mark.parametrize("way", ["free", "held"])
def test_a_slot_claimed_by_eight_at_once_has_one_run(way: str) -> None:
    crowd = gather(60)
    in_the_past = f"0 {(timezone.now() - timedelta(hours=3)).hour} * * *"
    job = schedule.schedule_nightly_run(
        now=timezone.now(), organisation=crowd.organisation, cron_expression=in_the_past, timezone="UTC"
    )
    slot = latest_slot(job.cron_expression, job.timezone, now=timezone.now())
    if way == "held":
        leave_a_held_run(crowd)

    said = do_at_once(8, CLAIM_THE_LATEST_SLOT)
    run = Run.objects.get(scheduled_for=slot)
    with worker() as late:
        for _ in range(3):
            current_app.send_task("cronjobs.nightly", [job.pk])
        late.wait_until(lambda: is_closed(run), what="the end of the run")
        late.wait_until(lambda: late.output.count("slot taken") == 3, what="three more claims")

    assert [said.count("CLAIMED"), said.count("TAKEN")] == [1, 7]
    assert Run.objects.count() == (2 if way == "held" else 1)
    assert_night_is_right(run, crowd)


CLAIM_THE_LATEST_SLOT = """
            job, now = CronJob.objects.get(), timezone.now()
            run = schedule.execute_slot(job, slot=latest_slot(job.cron_expression, job.timezone, now=now), now=now)
            print("CLAIMED" if run else "TAKEN")
"""


def leave_a_held_run(crowd: Crowd) -> None:
    """Let the brake hold the run of the day before."""
    organisation = crowd.organisation
    organisation.brake_minimum = organisation.brake_percent = 0
    organisation.save()
    held = plan_night(organisation, crowd.on - timedelta(days=1), now=timezone.now() - timedelta(days=1))
    assert held.status == Run.Status.HELD
    organisation.brake_percent = 100
    organisation.save()


def test_of_two_commands_at_once_one_runs_and_the_other_names_it() -> None:
    crowd = gather(60)
    with worker() as fleet:
        with hold(crowd.busy[10]) as held, nightly_command() as one, nightly_command() as other:
            fleet.wait_until(held.waiting, what="a batch that lasts")
            fleet.wait_until(lambda: {one.poll(), other.poll()} != {None}, what="the end of the loser")
            loser, winner = (one, other) if one.poll() is not None else (other, one)
            refused = outcome_of(loser)
            held.release()
            accepted = outcome_of(winner)
        again = run_command()

    run = Run.objects.get(pk=accepted.run["id"])
    assert (accepted.code, accepted.complaints) == (0, [])
    assert refused.code == 1
    assert [str(run.pk) in line for line in refused.complaints] == [True]
    assert_night_is_right(run, crowd)
    assert again.code == 0
    assert sum(count["planned"] for count in again.run["counts"].values()) == 0
    assert Run.objects.count() == 2


def test_a_broken_row_fails_alone_and_is_done_by_the_next_run() -> None:
    crowd = gather(60)
    broken = next(person.pk for person in crowd.people if person.fate is LAPSED_AND_DUE)
    with worker(NIGHTLY_RETRY_SECONDS="1", NIGHTLY_MAX_ATTEMPTS="2"):
        with broken_row(broken):
            first = run_command()
        after_the_first = Run.objects.get(pk=first.run["id"])
        assert_night_is_right(after_the_first, crowd, failed=[broken])
        second = run_command()

    assert (first.code, len(first.complaints)) == (1, 1)
    assert "2 items failed" in first.complaints[0]
    failed = after_the_first.items.filter(mentor=broken)
    assert ["broken on purpose" in item.error and item.attempts == 2 for item in failed] == [True, True]
    assert (second.code, second.complaints) == (0, [])
    assert_night_is_right(Run.objects.get(pk=second.run["id"]), crowd.only([broken]))


def test_a_mail_server_that_refuses_everything_undoes_nothing() -> None:
    crowd = gather(60)
    send_at_all_hours(crowd.organisation)
    messages = Notification.objects.filter(channel=EMAIL)
    undelivered = messages.filter(status__in=["queued", "sending"])
    with (
        mail_server(after_data=always("451 no")) as post,
        worker(EMAIL_URL=post.url, DELIVERY_MAX_ATTEMPTS="2", DELIVERY_RETRY_SECONDS="1") as fleet,
    ):
        run = start_night(crowd)
        fleet.wait_until(lambda: is_closed(run), what="the end of the run")

        def swept_away() -> bool:
            sweep(now=timezone.now())
            return not undelivered.exists()

        fleet.wait_until(swept_away, what="the end of all attempts")

    assert_night_is_right(run, crowd)
    assert set(messages.values_list("status", "attempts", "error")) == {
        ("failed", 2, "Given up after 2 attempts: 451 no")
    }
    assert messages.count() == sum(person.is_told for person in crowd.people) + 3


def test_a_worker_killed_while_it_delivers_repeats_at_most_the_message_in_flight() -> None:
    crowd = gather(60)
    messages = Notification.objects.filter(channel=EMAIL)
    with mail_server() as post:
        post.after_data = lambda _address: SILENT if len(post.offered) == 5 else None
        with worker(EMAIL_URL=post.url, concurrency=1) as victim:
            run = start_night(crowd)
            victim.wait_until(lambda: is_closed(run), what="the end of the run")
            messages.update(next_attempt_at=timezone.now())  # the sending hours have come
            send_at_all_hours(crowd.organisation)
            sweep(now=timezone.now())
            victim.wait_until(lambda: len(post.received) == 5, what="a message taken and not yet noted as sent")
            victim.kill()
        post.release()
        assert messages.filter(status=Notification.Status.SENT).count() == 4
        messages.filter(status=Notification.Status.SENDING).update(next_attempt_at=timezone.now())  # the lease is over
        with worker(EMAIL_URL=post.url) as successor:
            sweep(now=timezone.now())
            successor.wait_until(
                lambda: not messages.exclude(status=Notification.Status.SENT).exists(), what="the end of the delivery"
            )

    assert_night_is_right(run, crowd)
    ids = [mail["Message-ID"] for mail in post.received]
    assert set(ids) == set(messages.values_list("message_id", flat=True))
    assert [id for id in set(ids) if ids.count(id) > 1] == [ids[4]]
    assert ids.count(ids[4]) == 2


def test_without_redis_the_run_waits_for_a_person_or_for_the_sweep() -> None:
    crowd = gather(60)
    nowhere = f"redis://127.0.0.1:{free_port()}/0"

    refused = run_command(REDIS_URL=nowhere)
    run = only_run(crowd)

    assert (refused.code, refused.stdout, len(refused.complaints)) == (1, "", 1)
    assert "Redis does not answer" in refused.complaints[0]
    assert (run.is_open, run.items.pending().count()) == (True, sum(len(person.keys) for person in crowd.people))

    inline = run_command("--inline", REDIS_URL=nowhere)

    assert (inline.code, inline.complaints) == (0, [])
    assert_night_is_right(run, crowd)

    mended = gather(60, slug="nfu")
    refused = run_command("--organisation=nfu", REDIS_URL=nowhere)
    run = only_run(mended)
    assert (refused.code, run.is_open) == (1, True)
    with worker():
        bring_to_its_end(run)

    assert_night_is_right(run, mended)


def test_connections_that_the_database_ends_in_mid_run_lose_nothing() -> None:
    crowd = gather(300)
    with worker(NIGHTLY_RETRY_SECONDS="1") as fleet:
        with hold(crowd.busy[60], crowd.busy[90]) as held:
            run = start_night(crowd)
            for _ in range(2):  # in the batches, then alone
                fleet.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
                assert_mid_run(run)
                terminate(set(other_backends()) - {held.connection.info.backend_pid})
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_a_renewal_at_the_moment_of_the_pause_never_leaves_a_valid_mentor_paused() -> None:
    crowd = gather(200, LAPSED)
    pks = [person.pk for person in crowd.people]
    renewals = [(pks[0::2], "up"), (pks[1::2][::-1], "down"), (pks[1::4], "up")]
    with worker() as fleet:
        with hold(pks[20], pks[40]) as held:
            run = start_night(crowd)
            fleet.wait_until(lambda: len(held.waiting()) == 2, what="both children inside a batch")
            threads = [threading.Thread(target=renew_all, args=(crowd.on, *renewal)) for renewal in renewals]
            for thread in threads:
                thread.start()
            wait_until(Certification.objects.filter(number="down").exists, what="a renewal before the night's turn")
        for thread in threads:
            thread.join()
        bring_to_its_end(run)
    run.refresh_from_db()

    changes = StatusChange.objects.filter(mentor__in=pks).order_by("id").values_list("mentor_id", "to_status")
    paused = sorted(pk for pk, status in changes if status == "paused")
    resumed = sorted(pk for pk, status in changes if status == "active")
    done = run.items.filter(status=RunItem.Status.DONE).values_list("mentor_id", flat=True)
    skipped = run.items.filter(status=RunItem.Status.SKIPPED)
    told = Notification.objects.filter(run_id=run.pk, kind=Notification.Kind.NIGHT)
    assert set(Mentor.objects.filter(pk__in=pks).values_list("status", flat=True)) == {"active"}
    assert paused == resumed == sorted(done) == sorted(told.values_list("recipient_mentor_id", flat=True))
    assert sorted(paused) == sorted(set(paused))
    assert sorted([*done, *skipped.values_list("mentor_id", flat=True)]) == pks
    assert {item.outcome for item in skipped} == {"renewed or exempted in between: no lapsed type is left"}
    assert (run.status, len(paused) > 0, len(skipped) > 0) == (Run.Status.SUCCEEDED, True, True)
    assert_books_balance(run)
    assert_nothing_was_done_twice()
    assert_every_change_is_logged_once(crowd)


def renew_all(on: date, mentor_ids: Iterable[int], number: str) -> None:
    try:
        for pk in mentor_ids:
            old = Certification.objects.get(mentor=pk, type__code=COURSE, number="1")
            renew_certification(
                old, issued_on=on, expires_on=on + timedelta(days=365), number=number, now=timezone.now()
            )
    finally:
        connection.close()


def test_a_batch_delivered_again_and_again_is_done_once() -> None:
    crowd = gather(300, *WITH_TWO_ITEMS, LAPSED)
    run = plan_night(crowd.organisation, crowd.on, now=timezone.now())
    batches = list(nightly.batches(run, now=timezone.now()))
    with worker() as one, worker():
        queue.send_batches(run.pk, [batch for number, batch in enumerate(batches) for _ in range(2 + number % 2)])
        one.wait_until(lambda: is_closed(run), what="the end of the run")

    assert_night_is_right(run, crowd)


def test_a_mentor_whom_another_worker_has_is_passed_over_with_all_that_is_due() -> None:
    crowd = gather(60, *WITH_TWO_ITEMS)
    run = plan_night(crowd.organisation, crowd.on, now=timezone.now())
    first, *_others = run.items.filter(mentor=crowd.busy[10]).order_by("id")
    with worker() as fleet:
        with psycopg.connect(live_environment()["DATABASE_URL"]) as another:
            another.execute("SELECT 1 FROM cronjobs_runitem WHERE id = %s FOR UPDATE", [first.pk])
            queue.send_batches(run.pk, nightly.batches(run, now=timezone.now()))
            fleet.wait_until(lambda: done_and_pending(run)[1] <= 2, what="the end of all other mentors")
        bring_to_its_end(run)

    assert_night_is_right(run, crowd)


def test_four_sweeps_at_once_make_up_a_missed_slot_and_a_stuck_run_once() -> None:
    stuck, missed = gather(60), gather(60, slug="nfu")
    ten_minutes_ago = timezone.now() - timedelta(minutes=10)
    run = plan_night(stuck.organisation, stuck.on, now=ten_minutes_ago)
    three_hours_ago = (timezone.now() - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    job = schedule.schedule_nightly_run(
        now=timezone.now(),
        organisation=missed.organisation,
        cron_expression=f"0 {three_hours_ago.hour} * * *",
        timezone="UTC",
    )
    CronJob.objects.update(slots_from=three_hours_ago - timedelta(days=3, hours=1))

    said = do_at_once(4, "sweep(now=timezone.now())")
    with worker():
        made_up = Run.objects.get(cron_job=job, trigger=Run.Trigger.CATCH_UP)
        bring_to_its_end(run)
        bring_to_its_end(made_up)

    assert "sweep_failed" not in said
    assert made_up.scheduled_for == three_hours_ago
    assert Counter(Run.objects.filter(cron_job=job).values_list("status", flat=True)) == {"succeeded": 1, "missed": 3}
    assert_night_is_right(run, stuck)
    assert_night_is_right(made_up, missed)
