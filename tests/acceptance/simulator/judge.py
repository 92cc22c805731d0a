"""What never happens, asked of what is on record: of one state, and of what became of it from one state to the next.

Each law has a name, by which a violation says what was broken. `EXCEPT="manual kept"` in the environment passes over
those named, to see what else is wrong.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from tests.support.model import Certification, Change, Item, Mentor, Message, Run, State

LAWS = {
    "derived": "`lapses_on` is what it derives from",
    "log": "every change of a status has exactly one line in the log, and the lines follow each other",
    "keys": "no key acts twice, and no reminder is given twice",
    "books": "of a closed run, planned = done + skipped + failed, and nothing is pending",
    "slot": "a scheduled run's day is the local date of its slot",
    "paused": "the night pauses only who has lapsed on the run's day and today, and names just the types that have",
    "resumed": "the night resumes only who renewed: nothing is lapsed, what the pause named is covered or not required",
    "reminded": "the night reminds only of what is due on the run's day and not outdated today",
    "manual": "a pause by a person, or by a revocation, is lifted by persons only",
    "override": "a person's pause overrides the night's",
    "reactivated": "nobody with a lapsed type is reactivated without an exemption",
    "revoked": "a revocation that leaves a required type uncovered pauses at once",
    "overlooked": "after a closed run nobody is active whom it had to pause",
    "not resumed": "after a closed run nobody is paused whom it had to resume",
    "not reminded": "after a closed run every reminder that was due is with somebody",
    "handover": "who was paused by a run stands in the hand-over to the coordinators",
    "sent once": "a message that was recorded as sent is not sent again",
    "sent true": "what a message says is true when it leaves",
    "sent theirs": "nobody is sent what is about a mentor whom no role of theirs reaches now",
    "read": "an inbox shows only mentors whom a role of its reader reaches today",
    "public": "the public page shows everybody who is active, listed and not lapsed, and nobody else",
    "stand-ins": "nobody is named as a stand-in who is paused, or has something lapsed or missing",
    "pruned": "nothing is pruned before its time has come, by when it happened",
    "extensions": "when every extension of a certification is undone, it expires as before",
    "deadlock": "nobody waits in a ring",
    "error": "nobody is answered with an error that is not a refusal",
    "watch": "the watch looks at everything, whatever values there are, and says who has no schedule",
    "open": "every run comes to its end",
    "queued": "every message comes to its end",
}
PASSED_OVER = frozenset(filter(None, os.environ.get("EXCEPT", "").split(",")))
FRESH = timedelta(seconds=59)  # so long a message may be on its way after it was checked


class Violation(AssertionError):
    """A law was broken."""

    def __init__(self, law: str, what: object) -> None:
        super().__init__(f"{law}: {LAWS[law]}.\n  {what}")
        self.law = law


def hold(law: str, holds: object, what: object) -> None:
    """Insist on a law."""
    if not holds and law not in PASSED_OVER:
        raise Violation(law, what)


# ----------------------------------------------------------------------------------------------------------- one state


def judge_state(state: State) -> None:
    """What holds at every moment."""
    for mentor in state.mentors.values():
        expected = state.first_gap(mentor)
        hold("derived", mentor.lapses_on == expected, f"{mentor.ref} has {mentor.lapses_on} and not {expected}")
    _judge_log(state)
    _judge_keys(state)
    _judge_books(state)


def _judge_log(state: State) -> None:
    log: dict[int, list[Change]] = defaultdict(list)
    for change in state.changes:
        log[change.mentor_id].append(change)
    rows: dict[int, list[str]] = defaultdict(list)
    for mentor_id, status in state.history:
        rows[mentor_id].append(status)
    for mentor in state.mentors.values():
        statuses = ["active", *(change.to_status for change in log[mentor.id])]
        befores = [change.from_status for change in log[mentor.id]]
        follows = befores == statuses[:-1] and statuses[-1] == mentor.status
        hold("log", follows, f"{mentor.ref} is {mentor.status}, and the log says {befores} → {statuses[1:]}")
        if rows[mentor.id]:
            seen, logged = _without_repeats(rows[mentor.id]), _without_repeats(statuses)
            hold("log", seen == logged, f"{mentor.ref}'s row was {seen}, the log says {logged}")
    acted = Counter(
        (item.run_id, item.mentor_id, item.action) for item in state.items if _is_done(item, "pause", "resume")
    )
    to_action = {"paused": "pause", "active": "resume"}
    changed = Counter(
        (change.run_id, change.mentor_id, to_action[change.to_status])
        for change in state.changes
        if change.run_id in state.runs
    )
    hold("log", acted == changed, f"done by runs: {acted}; logged: {changed}")


def _without_repeats(statuses: Iterable[str]) -> list[str]:
    return [status for status, _same in groupby(statuses)]


def _is_done(item: Item, *actions: str) -> bool:
    return item.status == "done" and item.action in actions


def _judge_keys(state: State) -> None:
    keys = Counter(item.dedupe_key for item in state.items if item.status == "done")
    stages = Counter(
        (item.certification_id, item.expires_on, item.stage)
        for item in state.items
        if _is_done(item, "remind") and item.certification_id
    )
    for twice in (*keys.items(), *stages.items()):
        hold("keys", twice[1] == 1, f"{twice[0]}: {twice[1]} times")


def _judge_books(state: State) -> None:
    counted: dict[UUID, Counter[tuple[str, str]]] = defaultdict(Counter)
    for item in state.items:
        counted[item.run_id][item.action, item.status] += 1
    for run in state.runs.values():
        if run.is_open or run.status == "missed":
            continue
        items = counted[run.id]
        for action, counts in run.counts.items():
            parts = {status: items[action, status] for status in ("done", "skipped", "failed")}
            balanced = counts == {"planned": sum(parts.values())} | parts and not items[action, "pending"]
            balanced |= run.status == "failed" and not items  # whose plan failed
            hold("books", balanced, f"{run.status} run of {run.business_date}: {action} {counts}, items {parts}")
        failed = any(status == "failed" for _action, status in items)
        hold("books", not (failed and run.status == "succeeded"), f"run of {run.business_date} is green, with failures")


# ------------------------------------------------------------------------------------------- from one state to the next


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was done between two states: which kind of act, and since when it may have known what it acted on."""

    what: str
    states: Sequence[State]  # from the one that it began with to the one that it led to
    began_at: datetime
    now: datetime

    @property
    def after(self) -> State:
        return self.states[-1]

    @property
    def before(self) -> State:
        return self.states[-2]

    @property
    def new_changes(self) -> list[Change]:
        """What was logged; ids are given before the commit, so that the newest is not always the last."""
        known = {change.id for change in self.before.changes}
        return [change for change in self.after.changes if change.id not in known]

    def ever(self, is_so: Callable[[State, date], object], organisation_id: int) -> bool:
        """Whether it was so at some moment of the act, on the organisation's day of then."""
        return any(
            is_so(state, state.organisations[organisation_id].day_of(moment))
            for state in reversed(self.states)
            for moment in {self.now, self.began_at}
        )

    def is_so(self, is_so: Callable[[State, date], object], organisation_id: int) -> bool:
        """Whether it is so when the act is done, by the settings of some moment of it.

        Who acts on a mentor has locked her: what she holds does not change meanwhile, a setting may.
        """
        settings = {id(state.organisations): state.organisations for state in self.states}.values()
        under_each = [replace(self.after, organisations=organisations) for organisations in settings]
        return replace(self, states=under_each).ever(is_so, organisation_id)


@dataclass
class Judge:
    """Follows the states, and remembers what a run that is open has to do."""

    record_years: int = 5
    owed: dict[UUID, set[Any]] = field(default_factory=dict)
    ages: dict[UUID, datetime] = field(default_factory=dict)  # when a run was made, by the clock of the history
    before_extensions: dict[int, date | None] = field(default_factory=dict)  # when a certification expired, by its id
    changed_otherwise: set[int] = field(default_factory=set)

    def look(self, step: Step) -> None:
        """Judge what a step has changed."""
        judge_state(step.after)
        _judge_changes(step)
        _judge_reminders(step)
        self._judge_extensions(step)
        self._judge_runs(step)

    def _judge_extensions(self, step: Step) -> None:
        """Follow the certifications that nothing but extensions has changed."""
        before = {held.id: held for held in step.before.certifications}
        is_alone = len(step.states) == 2
        for held in step.after.certifications:
            was = before.get(held.id, held)
            if (was.issued_on, was.expires_on, was.revoked) == (held.issued_on, held.expires_on, held.revoked):
                continue
            if is_alone and step.what == "extend":
                self.before_extensions.setdefault(held.id, was.expires_on)
            elif not is_alone or step.what != "undo extension":
                self.changed_otherwise.add(held.id)
        for held in step.after.certifications:
            if step.after.extended.get(held.id) and held.id not in self.changed_otherwise:
                expired_on = self.before_extensions.get(held.id, held.expires_on)
                what = f"{held.number} expired on {expired_on}, and does so on {held.expires_on}"
                hold("extensions", held.expires_on == expired_on, what)

    def _judge_runs(self, step: Step) -> None:
        for run in step.after.runs.values():
            if run.id not in self.ages:
                self.ages[run.id] = step.now
                on_its_day = run.slot_on is None or run.business_date == run.slot_on
                hold("slot", on_its_day, f"the run of the slot of {run.slot_on} has the day {run.business_date}")
                if run.is_open or run.finished_at:
                    self.owed[run.id] = set(_due(run, step.before, step))
        for run_id in [run_id for run_id in self.ages if run_id not in step.after.runs]:
            old = self.ages.pop(run_id) < step.now - timedelta(days=365 * self.record_years)
            hold("pruned", old, f"run {run_id} is gone")
        for run_id, owed in list(self.owed.items()):
            still_there = step.after.runs.get(run_id)
            if still_there is None:
                del self.owed[run_id]
                continue
            owed &= set(_due(still_there, step.after, step))
            if not still_there.is_open:
                del self.owed[run_id]
                _judge_close(still_there, owed, step.after)


def _due(run: Run, state: State, step: Step) -> Iterable[Any]:
    """Yield what the run has to do that is still to be done."""
    organisation = state.organisations[run.organisation_id]
    d, today = run.business_date, organisation.day_of(step.now)
    for mentor in state.mentors.values():
        if mentor.organisation_id != run.organisation_id:
            continue
        if "pause" in run.actions and state.must_pause(mentor, d, today):
            yield "pause", mentor.id
        if "resume" in run.actions and state.may_resume(mentor, d, today):
            yield "resume", mentor.id
        if "remind" not in run.actions or mentor.status != "active" or not mentor.email:
            continue
        for held in state.held[mentor.id]:
            stage = state.stage(held, d)
            if stage is not None and state.is_reminded(held, stage, d, today):
                yield "remind", mentor.id, held.id, str(held.expires_on), stage


def _judge_close(run: Run, owed: set[Any], state: State) -> None:
    items = [item for item in state.items if item.run_id == run.id]
    if run.status not in {"succeeded", "partial"} or any(item.outcome in {"taken_over", "rejected"} for item in items):
        return  # missed, failed as a whole and told of, or held and then replaced or rejected
    left = {(item.action, item.mentor_id) for item in items if item.status == "failed"}
    for due in owed:
        action, mentor_id = due[:2]
        if (action, mentor_id) in left:
            continue
        ref = state.mentors[mentor_id].ref
        if action == "remind":
            _judge_handed_over(due, state, ref)
        else:
            law = {"pause": "overlooked", "resume": "not resumed"}[action]
            hold(law, False, f"{ref} is {state.mentors[mentor_id].status} after the run of {run.business_date}")
    _judge_hand_over(run, items, state)


def _judge_handed_over(due: tuple[Any, ...], state: State, ref: str) -> None:
    _action, mentor_id, certification_id, expires_on, stage = due
    told = [
        message
        for message in state.messages.values()
        if message.about_id == mentor_id
        and any(
            event["kind"] == "remind"
            and (event["certification_id"], event["expires_on"], event["stage"])
            == (certification_id, expires_on, stage)
            for event in state.events_of(message)
        )
    ]
    own = [message for message in told if message.mentor_id]
    alive = [message for message in own or told if message.status != "cancelled"]
    items = [
        f"{item.status} ({item.outcome}) by the run of {state.runs[item.run_id].business_date}"
        for item in state.items
        if item.action == "remind" and (item.certification_id, item.stage) == (certification_id, stage)
    ]
    what = f"{ref} of what expires on {expires_on}, {stage} days before: told {_fates(told) or 'nobody'}, items {items}"
    hold("not reminded", alive, what)


def _fates(messages: Iterable[Message]) -> str:
    return ", ".join(f"{message.channel} {message.status}" for message in messages)


def _judge_hand_over(run: Run, items: Iterable[Item], state: State) -> None:
    """Whoever stands in an inbox as paused by the run stands in the hand-over to the same reader, too."""
    paused = {item.mentor_id for item in items if _is_done(item, "pause")}
    rows = [message for message in state.messages.values() if message.run_id == run.id and message.channel == "inbox"]
    handed = {
        (message.user_id, mentor_id)
        for message in rows
        if message.kind == "handover"
        for mentor_id in message.context["paused"]
    }
    for message in rows:
        told = message.kind == "pause" and message.about_id in paused
        if told and any(role.user_id == message.user_id for role in state.roles):
            mentor = state.mentors[message.about_id or 0]
            hold("handover", (message.user_id, mentor.id) in handed, f"{mentor.ref} is in no hand-over")


# -------------------------------------------------------------------------------------------------------- who did what


def _judge_changes(step: Step) -> None:
    for change in step.new_changes:
        mentor = step.after.mentors[change.mentor_id]
        run = step.after.runs.get(change.run_id) if change.run_id else None
        if change.to_status == "paused" and run:
            _judge_pause(change, mentor, run, step)
        if change.to_status == "active":
            _judge_resume(change, mentor, run, step)
    if step.what == "revoke":
        _judge_revocation(step)


def _judge_pause(change: Change, mentor: Mentor, run: Run, step: Step) -> None:
    def is_named(state: State, today: date) -> bool:
        on_both = set(state.lapsed_types(mentor, run.business_date)) & set(state.lapsed_types(mentor, today))
        return state.organisation_of(mentor).auto_pause and bool(on_both) and on_both == set(change.types)

    true = step.is_so(is_named, mentor.organisation_id)
    hold("paused", true, f"{mentor.ref} by the run of {run.business_date}, on {step.now:%F %H:%M} UTC: {change.types}")


def _judge_resume(change: Change, mentor: Mentor, run: Run | None, step: Step) -> None:
    *_, before = (None, *(each for each in step.after.changes if each.mentor_id == mentor.id and each.id < change.id))
    cause = before.cause if before else None
    if cause in {"manual", "certification_revoked"}:
        hold("manual", change.by_person and run is None, f"{mentor.ref}, whose pause was {cause}, by {step.what}")
    if step.what in {"undo", "reactivate"}:
        if step.what == "reactivate":
            true = step.is_so(lambda state, today: not state.lapsed_types(mentor, today), mentor.organisation_id)
            hold("reactivated", true, mentor.ref)
        return

    def renewed(state: State, today: date) -> bool:
        days = (run.business_date, today) if run else (today,)
        then = state.mentors.get(mentor.id)
        if then is None or not state.organisation_of(then).auto_resume or before is None:
            return False
        named = {pk for pk, type in state.types.items() if type.code in before.types and type.required}
        named = {pk for pk in named if state.types[pk].organisation_id == then.organisation_id}
        return all(not state.lapsed_types(then, d) and all(state.is_covered(then, pk, d) for pk in named) for d in days)

    true = cause == "certification_expired" and step.is_so(renewed, mentor.organisation_id)
    hold("resumed", true, f"{mentor.ref} by {step.what}, whose pause ({cause}) named {before and before.types}")


def _judge_revocation(step: Step) -> None:
    revoked = {held.id for held in step.after.certifications if held.revoked}
    known = {held.id for held in step.before.certifications if held.revoked}
    for held in (held for held in step.after.certifications if held.id in revoked - known):
        mentor = step.after.mentors[held.mentor_id]

        def stays(state: State, today: date, held: Certification = held, mentor: Mentor = mentor) -> bool:
            required = state.types[held.type_id].required
            return not required or state.is_covered(mentor, held.type_id, today)

        ok = mentor.status != "active" or step.ever(stays, mentor.organisation_id)
        hold("revoked", ok, f"{mentor.ref} is {mentor.status}")


def _judge_reminders(step: Step) -> None:
    done_before = {item.id for item in step.before.items if item.status == "done"}
    for item in step.after.items:
        if not _is_done(item, "remind") or item.id in done_before:
            continue
        run = step.after.runs[item.run_id]

        def due(state: State, today: date, item: Item = item, run: Run = run) -> bool:
            held = next((each for each in state.certifications if each.id == item.certification_id), None)
            return (
                held is not None
                and held.expires_on == item.expires_on
                and state.is_reminded(held, item.stage or 0, run.business_date, today)
            )

        what = f"{step.after.mentors[item.mentor_id].ref}: {item.dedupe_key}, by the run of {run.business_date}"
        hold("reminded", step.is_so(due, run.organisation_id), what)
