"""The histories: what may happen next, and what is asked after it.

A history is a list of steps, each a call of a rule below. Whoever acts is a session (sessions.py): `stop` says before
which of its statements it stops, so that others come in between; None lets it come to its end.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import psycopg
import time_machine
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from rest_framework.test import APIClient

from certifications.coverage import find_stand_ins, public_names
from cronjobs import cron
from cronjobs.dispatch import BrokerUnavailable
from mentors.conflicts import ConflictError
from mentors.models import Chapter, User
from tests.acceptance.simulator import acts
from tests.acceptance.simulator.facts import read_state
from tests.acceptance.simulator.judge import FRESH, Judge, Step, hold
from tests.acceptance.simulator.letters import LetterJudge
from tests.acceptance.simulator.sessions import TO_THE_END, Session, Stage
from tests.acceptance.simulator.surroundings import ANSWERS, TAKEN, Post, Queue, do
from tests.acceptance.simulator.world import (
    BOARDS,
    COORDINATORS,
    TYPES,
    Holding,
    begin_world,
    job_of,
)
from tests.support.model import Certification, Mentor, Run, State

BEGINS_AT = datetime.fromisoformat("2026-11-21T11:00+00:00")
MOST_SESSIONS = 3
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REFUSALS = (ConflictError, ValidationError, ObjectDoesNotExist, BrokerUnavailable)

NUMBERS = st.integers(0, 7)
STOPS = st.sampled_from([None] * 5) | st.integers(0, 24)
ISSUED = st.sampled_from([-400, -30, -1, 0, 2, 40])
EXPIRES = st.sampled_from([400, -3, -1, 0, 1, 6, 7, 13, 29, None])
HOLDINGS = st.lists(st.tuples(st.integers(0, 2), ISSUED, EXPIRES), min_size=1, max_size=3)
PASSES = [MINUTE, 20 * MINUTE, 3 * HOUR, 9 * HOUR, DAY, 3 * DAY, 8 * DAY, 20 * DAY]
YEARS = 1  # for which records are kept in a history

Row = TypeVar("Row")


@dataclass
class Theatre:
    """What all histories of a process play on."""

    monitor: psycopg.Connection[Any]
    clock: time_machine.Traveller
    post: Post
    queue: Queue
    version: int = 0
    stage: Stage | None = None
    histories: int = 0
    steps: int = 0
    acted: Counter[str] = field(default_factory=Counter)


class History(RuleBasedStateMachine):
    theatre: ClassVar[Theatre]

    def __init__(self) -> None:
        super().__init__()
        self.theatre.histories += 1
        self.now = BEGINS_AT
        self.judge, self.letters = Judge(record_years=YEARS), LetterJudge()
        self.states: list[State] = []
        self.times: list[datetime] = []
        self.numbers = 0
        self.has_begun = self.is_broken = False

    # ------------------------------------------------------------------------------------------------ how a step goes

    @property
    def state(self) -> State:
        return self.states[-1]

    @property
    def stage(self) -> Stage:
        assert self.theatre.stage
        return self.theatre.stage

    def act(self, what: str, do: Callable[[], object], stop: int | None = None) -> Session:
        """Let somebody do this, until before its statement `stop`, or to the end."""
        while len(self.stage.open) >= MOST_SESSIONS:
            self.move(self._first_who_can(), TO_THE_END)
        session = self.stage.start(what, do)
        self.move(session, TO_THE_END if stop is None else stop)
        return session

    def _first_who_can(self) -> Session:
        return next(session for session in self.stage.open if not session.is_blocked)

    def move(self, session: Session, statements: int) -> None:
        current = len(self.states) - 1
        since = min((each.since for each in self.stage.open if each.since is not None), default=current)
        since = since if session.since is not None or any(each.is_blocked for each in self.stage.open) else current
        self.stage.go_on(session, statements)
        self.look(session, since)

    def look(self, session: Session | None = None, since: int | None = None) -> None:
        """Read what is on record now, and ask whether what has become of it may be."""
        try:
            self._look(session, since)
        except AssertionError:
            self.is_broken = True
            raise

    def _look(self, session: Session | None, since: int | None) -> None:
        self.theatre.steps += 1
        self.states.append(read_state(self.theatre.monitor))
        self.times.append(self.now)
        self.theatre.version = len(self.states) - 1
        window = self.theatre.version - 1 if since is None else min(since, self.theatre.version - 1)
        began_at = session.now if session else self.now
        step = Step(
            what=session.what if session else "time", states=self.states[window:], began_at=began_at, now=self.now
        )
        self._count(step, session)
        self.letters.note(self.state)
        self._read_letters()
        self.judge.look(step)
        if session:
            self._hear(session)

    def _count(self, step: Step, session: Session | None) -> None:
        """Keep what has happened at all: what never happens proves nothing."""
        seen, before, after = self.theatre.acted, step.before, step.after
        known = {item.id: item.status for item in before.items}
        seen.update(f"{item.action} {item.status}" for item in after.items if known.get(item.id) != item.status)
        seen.update(f"run {run.status}" for run in after.runs.values() if run not in before.runs.values())
        seen.update(f"to {change.to_status} by {step.what}" for change in step.new_changes)
        fates = {row.id: row.status for row in before.messages.values()}
        seen.update(f"{row.kind} {row.status}" for row in after.messages.values() if fates.get(row.id) != row.status)
        if session:
            seen.update([f"{session.what}: {type(session.error).__name__}"] if session.error else [])
            seen.update(["waits for a lock"] if session.is_blocked else [])
        seen.update([f"{len(self.stage.open)} sessions"])

    def _read_letters(self) -> None:
        for letter in self.theatre.post.taken:
            session = letter.session
            first = session.began if session else len(self.states) - 2
            while first < len(self.states) - 2 and self.times[first + 1] < letter.at - FRESH:
                first += 1
            began_at = max(session.now, letter.at - FRESH) if session else letter.at
            states = self.states[min(first, len(self.states) - 2) :]
            self.letters.judge(letter, Step(what="deliver", states=states, began_at=began_at, now=letter.at))
        self.theatre.post.taken.clear()

    def _hear(self, session: Session) -> None:
        """What somebody is answered."""
        hold("deadlock", not session.deadlocks, session)
        error = session.error
        if error is None or isinstance(error, REFUSALS):
            if session.is_over and session.what == "pause" and getattr(error, "code", "") == "status_forbids":
                self._judge_refused_pause(session)
            return
        if "broken on purpose" in str(error):
            return
        hold("error", False, f"{session}: {type(error).__name__}: {error}")

    def _judge_refused_pause(self, session: Session) -> None:
        mentor_id = session.do.args[0]  # type: ignore[attr-defined]
        causes = {state.mentors[mentor_id].pause_cause for state in self.states[session.began :]}
        hold("override", causes != {"certification_expired"}, self.state.mentors[mentor_id].ref)

    # ---------------------------------------------------------------------------------------------------- what is there

    def pick(self, rows: Sequence[Row], number: int) -> Row:
        return rows[number % len(rows)]

    def mentor(self, number: int) -> Mentor:
        return self.pick(list(self.state.mentors.values()), number)

    def type_of(self, mentor: Mentor, number: int) -> int:
        return self.pick(
            [pk for pk, row in self.state.types.items() if row.organisation_id == mentor.organisation_id], number
        )

    def certification(self, who: int, which: int) -> Certification | None:
        held = [row for row in self.state.certifications if row.mentor_id == self.mentor(who).id]
        return self.pick(held, which) if held else None

    def today(self, organisation_id: int) -> date:
        return self.state.organisations[organisation_id].day_of(self.now)

    def days(self, mentor: Mentor, issued: int, expires: int | None) -> tuple[date, date | None]:
        today = self.today(mentor.organisation_id)
        return today + issued * DAY, None if expires is None else today + max(issued, expires) * DAY

    def runs(self, is_right: Callable[[Run], bool]) -> list[UUID]:
        return [run.id for run in sorted(self.state.runs.values(), key=lambda run: run.created_at) if is_right(run)]

    @initialize(
        each=st.booleans(),
        at_all_hours=st.booleans(),
        holdings=st.tuples(*[HOLDINGS] * 8),
    )
    def begin(self, each: bool, at_all_hours: bool, holdings: Sequence[Sequence[Holding]]) -> None:
        self.theatre.clock.move_to(self.now)
        self.theatre.queue.waiting.clear()
        self.theatre.queue.is_down = False
        self.theatre.post.reset()
        begin_world(each=each, at_all_hours=at_all_hours, holdings=holdings, today=self.now.date())
        self.states.append(read_state(self.theatre.monitor))
        self.times.append(self.now)
        self.has_begun = True
        self.look()

    # ------------------------------------------------------------------------------------------------------------- time

    @rule(passes=st.sampled_from(PASSES))
    def time_passes(self, passes: timedelta) -> None:
        self.put_clock(self.now + passes)

    @precondition(lambda self: not self.stage.open)
    @rule(days=st.sampled_from([300, 420]))
    def long_time_passes(self, days: int) -> None:
        """So long that records are pruned; of all the slots in between nobody is told."""
        self.put_clock(self.now + days * DAY)
        self.theatre.monitor.execute("UPDATE cronjobs_cronjob SET slots_from = %s", [self.now])

    @rule(back=st.sampled_from([MINUTE, 4 * MINUTE]))
    def clock_is_set_back(self, back: timedelta) -> None:
        self.put_clock(self.now - back)

    def put_clock(self, to: datetime) -> None:
        self.now = to
        self.theatre.clock.move_to(to)
        self.look()

    # --------------------------------------------------------------------------------------------------------- sessions

    @precondition(lambda self: self.stage.open)
    @rule(number=st.integers(0, 2), statements=st.integers(1, 12) | st.just(TO_THE_END))
    def go_on(self, number: int, statements: int) -> None:
        self.move(self.pick(self.stage.open, number), statements)

    @precondition(lambda self: self.stage.open)
    @rule(number=st.integers(0, 2))
    def die(self, number: int) -> None:
        session = self.pick(self.stage.open, number)
        current = len(self.states) - 1
        since = min((each.since for each in self.stage.open if each.since is not None), default=current)
        self.stage.kill(session)
        self.look(None, since)

    # --------------------------------------------------------------------------------------------------- certifications

    @rule(who=NUMBERS, which=NUMBERS, issued=ISSUED, expires=EXPIRES, stop=STOPS)
    def record(self, who: int, which: int, issued: int, expires: int | None, stop: int | None) -> None:
        mentor = self.mentor(who)
        self.numbers += 1
        type_id, number = self.type_of(mentor, which), f"N{self.numbers}"
        self.act("record", partial(acts.record, mentor.id, type_id, number, *self.days(mentor, issued, expires)), stop)

    @rule(who=NUMBERS, begins=st.sampled_from([-1, -1, 0, 1, 2]), expires=EXPIRES, stop=STOPS)
    def renew(self, who: int, begins: int, expires: int | None, stop: int | None) -> None:
        """Record what somebody whom the night has paused needs, or one of those whom it will pause.

        If it begins later, she is resumed by a night.
        """
        self._renew(
            self.pick(self._waiting() or self._lapsed() or list(self.state.mentors.values()), who),
            begins,
            expires,
            stop,
        )

    def _renew(self, mentor: Mentor, begins: int, expires: int | None, stop: int | None = None) -> None:
        lapsed = self._lapsed_types(mentor)
        type_id = lapsed[0] if lapsed else self.type_of(mentor, 0)
        self.numbers += 1
        days = self.days(mentor, begins, expires)
        self.act("record", partial(acts.record, mentor.id, type_id, f"N{self.numbers}", *days), stop)

    def _waiting(self) -> list[Mentor]:
        return [row for row in self.state.mentors.values() if row.pause_cause == "certification_expired"]

    def _lapsed(self) -> list[Mentor]:
        mentors = self.state.mentors.values()
        return [mentor for mentor in mentors if mentor.status == "active" and self._lapsed_types(mentor)]

    def _lapsed_types(self, mentor: Mentor) -> list[int]:
        codes = self.state.lapsed_types(mentor, self.today(mentor.organisation_id))
        types = self.state.types.items()
        return [pk for pk, row in types if row.organisation_id == mentor.organisation_id and row.code in codes]

    @rule(who=NUMBERS, which=NUMBERS, expires=EXPIRES, stop=STOPS)
    def change_expiry(self, who: int, which: int, expires: int | None, stop: int | None) -> None:
        if held := self.certification(who, which):
            _issued_on, expires_on = self.days(self.mentor(who), -400, expires)
            expires_on = expires_on and max(expires_on, held.issued_on)
            self.act("change", partial(acts.change, held.id, expires_on=expires_on), stop)

    @rule(who=NUMBERS, which=NUMBERS, stop=STOPS)
    def move_into_the_future(self, who: int, which: int, stop: int | None) -> None:
        if held := self.certification(who, which):
            days = self.days(self.mentor(who), 10, 400)
            self.act("change", partial(acts.change, held.id, issued_on=days[0], expires_on=days[1]), stop)

    @rule(who=NUMBERS, which=NUMBERS, stop=STOPS)
    def remove(self, who: int, which: int, stop: int | None) -> None:
        if held := self.certification(who, which):
            self.act("remove", partial(acts.remove, held.id), stop)

    @rule(who=NUMBERS, which=NUMBERS, stop=STOPS)
    def revoke(self, who: int, which: int, stop: int | None) -> None:
        if held := self.certification(who, which):
            self.act("revoke", partial(acts.revoke, held.id), stop)

    @rule(who=NUMBERS, which=NUMBERS, begins=st.sampled_from([0, -2, 2]), lasts=st.sampled_from([0, 1, 30]), stop=STOPS)
    def exempt(self, who: int, which: int, begins: int, lasts: int, stop: int | None) -> None:
        """Exempt one of those whom the night has paused, or will pause, or anybody."""
        mentor = self.pick(self._waiting() or self._lapsed() or list(self.state.mentors.values()), who)
        from_on = self.today(mentor.organisation_id) + begins * DAY
        lapsed = self._lapsed_types(mentor)
        type_id = self.pick(lapsed, which) if lapsed else self.type_of(mentor, which)
        self.act("exempt", partial(acts.exempt, mentor.id, type_id, from_on, from_on + lasts * DAY), stop)

    @rule(who=NUMBERS, days=st.sampled_from([1, 10, 60]), stop=STOPS)
    def extend(self, who: int, days: int, stop: int | None) -> None:
        mentor = self.mentor(who)
        held = [row.id for row in self.state.certifications if row.mentor_id in {mentor.id, mentor.id + 1}]
        held = [pk for pk in held if self._organisation_of(pk) == mentor.organisation_id]
        if held:
            self.act("extend", partial(acts.extend, held, days, mentor.organisation_id), stop)

    def _organisation_of(self, certification_id: int) -> int:
        [row] = [row for row in self.state.certifications if row.id == certification_id]
        return self.state.mentors[row.mentor_id].organisation_id

    @rule(number=NUMBERS, stop=STOPS)
    def undo_extension(self, number: int, stop: int | None) -> None:
        made = self.theatre.monitor.execute("SELECT id FROM certifications_extension ORDER BY id").fetchall()
        if made:
            self.act("undo extension", partial(acts.undo_extension, self.pick(made, number)[0]), stop)

    @rule(who=NUMBERS, which=NUMBERS, expires=EXPIRES, stop=STOPS)
    def record_course(self, who: int, which: int, expires: int | None, stop: int | None) -> None:
        mentor = self.mentor(who)
        attended = [pk for pk, row in self.state.mentors.items() if row.organisation_id == mentor.organisation_id][:3]
        days = self.days(mentor, -1, expires)
        self.act("course", partial(acts.record_course, self.type_of(mentor, which), attended, *days), stop)

    @rule(who=NUMBERS, which=NUMBERS, expires=EXPIRES, stop=STOPS)
    def import_roster(self, who: int, which: int, expires: int | None, stop: int | None) -> None:
        mentor = self.mentor(who)
        issued_on, expires_on = self.days(mentor, -30, expires)
        line = (mentor.ref, list(TYPES)[which % len(TYPES)], str(issued_on), str(expires_on or ""))
        self.act("import", partial(acts.import_roster, mentor.organisation_id, [line]), stop)

    # ---------------------------------------------------------------------------------------------------------- mentors

    @rule(who=NUMBERS, stop=STOPS)
    def pause(self, who: int, stop: int | None) -> None:
        self.act("pause", partial(acts.pause, self.mentor(who).id), stop)

    @rule(who=NUMBERS, exempt_days=st.sampled_from([None, 0, 30]), stop=STOPS)
    def reactivate(self, who: int, exempt_days: int | None, stop: int | None) -> None:
        self.act("reactivate", partial(acts.reactivate, self.mentor(who).id, exempt_days), stop)

    @rule(who=st.just(7), stop=STOPS)
    def end(self, who: int, stop: int | None) -> None:
        self.act("end", partial(acts.end, self.mentor(who).id), stop)

    @rule(who=NUMBERS, email=st.sampled_from(["", "new@example.org"]), stop=STOPS)
    def change_address(self, who: int, email: str, stop: int | None) -> None:
        self.act("describe", partial(acts.describe, self.mentor(who).id, email=email), stop)

    @rule(who=NUMBERS, which=NUMBERS, stop=STOPS)
    def move_to_chapter(self, who: int, which: int, stop: int | None) -> None:
        mentor = self.mentor(who)
        chapters = {
            row.chapter_id for row in self.state.mentors.values() if row.organisation_id == mentor.organisation_id
        }
        self.act("move", partial(acts.move, mentor.id, self.pick(sorted(chapters), which)), stop)

    # --------------------------------------------------------------------------------------------------------- settings

    @rule(who=NUMBERS, which=NUMBERS, required=st.booleans(), stop=STOPS)
    def require(self, who: int, which: int, required: bool, stop: int | None) -> None:
        mentor = self.pick(self._waiting() or list(self.state.mentors.values()), who)
        self.act("type", partial(acts.set_of_type, self.type_of(mentor, which), required=required), stop)

    @rule(who=NUMBERS, which=NUMBERS, days=st.sampled_from([0, 1, 10]), stop=STOPS)
    def give_grace(self, who: int, which: int, days: int, stop: int | None) -> None:
        self.act("type", partial(acts.set_of_type, self.type_of(self.mentor(who), which), grace_days=days), stop)

    @rule(
        organisation=st.sampled_from([1, 2]),
        setting=st.sampled_from(
            [
                {"valid_through_expiry_day": False},
                {"valid_through_expiry_day": True},
                {"auto_pause": False},
                {"auto_pause": True},
                {"auto_resume": False},
                {"auto_resume": True},
                {"reminder_days": [7, 1]},
                {"reminder_days": [30, 14, 7]},
                {"timezone": "Pacific/Auckland"},
                {"timezone": "America/New_York"},
                {"coordinator_mail": "each"},
                {"brake_minimum": 0},
                {"brake_minimum": 4},
            ]
        ),
        stop=STOPS,
    )
    def set(self, organisation: int, setting: dict[str, Any], stop: int | None) -> None:
        self.act("organisation", partial(acts.set_of_organisation, organisation, **setting), stop)

    @rule(
        organisation=st.sampled_from([1, 2]),
        setting=st.sampled_from(
            [
                {"enabled": False, "pause_note": "holiday"},
                {"enabled": True},
                {"alert_after_minutes": 2147483647},
                {"cron_expression": "45 23 * * *"},
                {"cron_expression": "30 0 * * *"},
            ]
        ),
        stop=STOPS,
    )
    def schedule(self, organisation: int, setting: dict[str, Any], stop: int | None) -> None:
        self.act("schedule", partial(acts.set_of_job, organisation, **setting), stop)

    @rule(
        username=st.sampled_from(COORDINATORS + BOARDS),
        change=st.sampled_from(["ends", "whole", "chapter", "leaves", "is back"]),
        stop=STOPS,
    )
    def role(self, username: str, change: str, stop: int | None) -> None:
        organisation_id = 1 if username.endswith("a") else 2
        chapters = [row.chapter_id for row in self.state.mentors.values() if row.organisation_id == organisation_id]
        acts_by_change = {
            "ends": partial(acts.end_roles, username),
            "whole": partial(acts.give_role, username, organisation_id, None),
            "chapter": partial(acts.give_role, username, organisation_id, max(chapters)),
            "leaves": partial(acts.set_active, username, False),
            "is back": partial(acts.set_active, username, True),
        }
        self.act("role", acts_by_change[change], stop)

    # ------------------------------------------------------------------------------------------------------------- runs

    @rule(
        organisation=st.sampled_from([1, 2]),
        late=st.sampled_from([timedelta(), timedelta(), 2 * MINUTE, 5 * HOUR]),
        renews=st.sampled_from([None, None, 1, 2]),
    )
    def night(self, organisation: int, late: timedelta, renews: int | None) -> None:
        """A whole night: beat fires the slot, in time or late, the workers work, and mail leaves in the morning.

        On the day before, somebody who is paused may have renewed, from a day to come.
        """
        job = job_of(organisation)
        if renews and (waiting := [row for row in self._waiting() if row.organisation_id == organisation]):
            self._renew(waiting[0], renews, 400)
        slot = cron.next_slots(job.cron_expression, job.timezone, after=self.now, count=1)[0]
        self.put_clock(slot + late)
        self.act("slot", partial(do, ("cronjobs.nightly", (job.pk,))))
        self.work_everything()
        self.put_clock(self.now + 9 * HOUR)
        self.act("deliver", partial(do, ("notifications.deliver", ())))

    @rule(organisation=st.sampled_from([1, 2]), waits=st.booleans(), stop=STOPS)
    def slot(self, organisation: int, waits: bool, stop: int | None) -> None:
        job = job_of(organisation)
        if waits:
            self.put_clock(cron.next_slots(job.cron_expression, job.timezone, after=self.now, count=1)[0])
        self.act("slot", partial(do, ("cronjobs.nightly", (job.pk,))), stop)

    @rule(
        organisation=st.sampled_from([1, 2]),
        days=st.sampled_from([0, 0, -1, -9, -800]),
        approved=st.booleans(),
        stop=STOPS,
    )
    def run_by_hand(self, organisation: int, days: int, approved: bool, stop: int | None) -> None:
        self.act("run", partial(acts.run_by_hand, organisation, days, approved), stop)

    @precondition(lambda self: self.theatre.queue.waiting)
    @rule(number=NUMBERS, twice=st.booleans(), stop=STOPS)
    def work(self, number: int, twice: bool, stop: int | None) -> None:
        """A worker takes a message, or gets one that another has."""
        task = self.theatre.queue.take(number, stays=twice)
        self.act("work", partial(do, task), stop)

    @precondition(lambda self: self.theatre.queue.waiting)
    @rule()
    def work_everything(self) -> None:
        for _ in range(60):
            if not self.theatre.queue.waiting:
                break
            self.act("work", partial(do, self.theatre.queue.take(0, stays=False)))

    @rule(lost=st.booleans())
    def redis_fails(self, lost: bool) -> None:
        self.theatre.queue.is_down = not self.theatre.queue.is_down
        if lost:
            self.theatre.queue.waiting.clear()

    @rule(later=st.sampled_from([timedelta(), 6 * MINUTE]), stop=STOPS)
    def sweep(self, later: timedelta, stop: int | None) -> None:
        self.put_clock(self.now + later)
        session = self.act("sweep", partial(do, ("cronjobs.sweep", ())), stop)
        if session.is_over and not session.error and not self.stage.open:
            self._judge_watch()

    def _judge_watch(self) -> None:
        unwatched = self.theatre.monitor.execute(
            "SELECT slug FROM mentors_organisation organisation"
            " WHERE EXISTS (SELECT FROM mentors_mentor WHERE organisation_id = organisation.id AND status = 'active')"
            " AND NOT EXISTS (SELECT FROM cronjobs_cronjob WHERE organisation_id = organisation.id AND enabled)"
            " AND NOT EXISTS (SELECT FROM cronjobs_incident incident"
            "                 WHERE incident.organisation_id = organisation.id AND ended_at IS NULL)"
        ).fetchall()
        hold("watch", not unwatched, f"nothing is wrong with {unwatched}, which has no job")

    @rule(number=NUMBERS, way=st.sampled_from(["approve", "reject"]), stop=STOPS)
    def decide(self, number: int, way: str, stop: int | None) -> None:
        if held := self.runs(lambda run: run.status == "held"):
            self.act(
                "decide", partial({"approve": acts.approve, "reject": acts.reject}[way], self.pick(held, number)), stop
            )

    @rule(number=NUMBERS, stop=STOPS)
    def retry(self, number: int, stop: int | None) -> None:
        if failed := self.runs(lambda run: run.status in {"partial", "failed"}):
            self.act("retry", partial(acts.retry_run, self.pick(failed[::-1], number)), stop)

    @rule(number=NUMBERS, stop=STOPS)
    def undo(self, number: int, stop: int | None) -> None:
        if closed := self.runs(lambda run: not run.is_open and run.counts.get("pause", {}).get("done", 0) > 0):
            self.act("undo", partial(acts.undo_run, self.pick(closed[::-1], number)), stop)

    @rule(stop=STOPS)
    def prune(self, stop: int | None) -> None:
        self.act("prune", acts.prune, stop)

    @rule(who=NUMBERS, is_broken=st.booleans())
    def break_row(self, who: int, is_broken: bool) -> None:
        """Let the database refuse to change a mentor's status, or mend it."""
        query = (
            "INSERT INTO simulator_broken VALUES (%s) ON CONFLICT DO NOTHING"
            if is_broken
            else "DELETE FROM simulator_broken WHERE mentor_id <= %s + 100"
        )
        self.theatre.monitor.execute(query, [self.pick(self._lapsed() or list(self.state.mentors.values()), who).id])

    # --------------------------------------------------------------------------------------------------------- messages

    @rule(answer=st.sampled_from([TAKEN, TAKEN, *ANSWERS]))
    def mail_server(self, answer: str) -> None:
        self.theatre.post.answer = answer

    @rule(stop=STOPS)
    def deliver(self, stop: int | None) -> None:
        self.act("deliver", partial(do, ("notifications.deliver", ())), stop)

    @rule(username=st.sampled_from(COORDINATORS + BOARDS))
    def read_inbox(self, username: str) -> None:
        """A coordinator looks into the inbox of the app."""
        user = User.objects.get(username=username)
        client = APIClient(headers={"Accept-Language": "en"})
        client.force_authenticate(user)
        shown = client.get("/api/v1/notifications").json().get("results", [])
        for row in shown if user.is_active else []:
            named = [
                pk for pk, mentor in self.state.mentors.items() if mentor.name in row["text"] or pk == row["mentor"]
            ]
            strange = [pk for pk in named if not self.state.reaches(user.pk, self.state.mentors[pk])]
            hold("read", not strange, f"{username} reads of {[self.state.mentors[pk].ref for pk in strange]}")

    @rule(number=NUMBERS)
    def visit(self, number: int) -> None:
        """Somebody looks at the public page of a chapter, and at who is named there as a stand-in."""
        self._visit(self.pick(sorted({mentor.chapter_id for mentor in self.state.mentors.values()}), number))

    def _visit(self, chapter_id: int) -> None:
        chapter = Chapter.objects.select_related("organisation").get(pk=chapter_id)
        today = chapter.organisation.local_date(self.now)
        there = [mentor for mentor in self.state.mentors.values() if mentor.chapter_id == chapter.pk]
        shown = public_names(chapter=chapter, on=today)
        expected = sorted(mentor.name for mentor in there if self.state.is_public(mentor, today))
        hold("public", shown == expected, f"{shown} and not {expected}, on {today}")
        named = find_stand_ins([chapter.pk], on=today).get(chapter.pk, [])
        wrong = [
            mentor.ref
            for mentor in there
            if mentor.name in named
            and (
                mentor.status != "active"
                or self.state.lapsed_types(mentor, today)
                or self.state.missing_types(mentor, today)
            )
        ]
        hold("stand-ins", not wrong, wrong)

    # ---------------------------------------------------------------------------------------------------------- the end

    # What is done often is there several times.
    night_2 = night_3 = night_4 = night
    work_everything_2 = work_everything
    deliver_2 = deliver
    renew_2 = renew

    def teardown(self) -> None:
        try:
            if self.has_begun and not self.is_broken and self._may_settle():
                self._settle()
        finally:
            for session in list(self.stage.open):
                self.stage.kill(session)

    def _may_settle(self) -> bool:
        return sys.exc_info()[0] is None

    def _settle(self) -> None:
        """Let everything be in order again: then every run and every message comes to its end."""
        self.theatre.post.answer, self.theatre.queue.is_down = TAKEN, False
        self.theatre.monitor.execute("DELETE FROM simulator_broken")
        while self.stage.open:
            self.move(self._first_who_can(), TO_THE_END)
        for later in [6 * MINUTE] * 3 + [4 * HOUR] * 8:
            if not self._is_waiting():
                break
            self.put_clock(self.now + later)
            self.act("sweep", partial(do, ("cronjobs.sweep", ())))
            self.work_everything()
            self.act("deliver", partial(do, ("notifications.deliver", ())))
        left = [run for run in self.state.runs.values() if run.status in {"planned", "running"}]
        hold("open", not left, left)
        waiting = [row for row in self.state.messages.values() if row.status in {"queued", "sending"}]
        hold("queued", not waiting, waiting)
        for chapter_id in {mentor.chapter_id for mentor in self.state.mentors.values()}:
            self._visit(chapter_id)

    def _is_waiting(self) -> bool:
        return any(run.status in {"planned", "running"} for run in self.state.runs.values()) or any(
            message.status in {"queued", "sending"} for message in self.state.messages.values()
        )
