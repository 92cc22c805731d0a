"""Invented histories: fifty nights of a small organisation, played by the service and by the model of its rules.

Between the nights, and between the plan and the work of a night, certifications are recorded late, prolonged, revoked
and deleted, mentors are paused by hand, exempted and ended, and settings change. After every night both must agree.
`HISTORIES=200` in the environment plays that many.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from math import ceil
from typing import Any

import hypothesis
import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from pytest_django import Settings

from certifications.coverage import public_names
from certifications.models import Certification, CertificationType, Exemption
from cronjobs.models import Run, RunItem
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from mentors.status import change_status
from tests.support import model
from tests.support.nights import noon, run_night

FIRST_NIGHT = date(2026, 3, 1)
NIGHTS = 50
MENTORS = 8
EXAMPLES = int(os.environ.get("HISTORIES", "6"))
PARTS = 3  # which play side by side
# A smaller seed is not a smaller history, so there is nothing to shrink.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
KNOWN = [1, 2]  # seeds of two histories in which, taken together, everything happens
EVERYTHING = {"pause", "resume", "remind", "pause skipped", "resume skipped", "remind skipped"}
TYPES = ["course", "secrecy", "first_aid", "signing"]


def day(number: int) -> date:
    return FIRST_NIGHT + timedelta(days=number)


@dataclass(frozen=True)
class Change:
    """Something a person does. The numbers wrap around what there is: the third of two is the first."""

    kind: str
    who: int
    which: int
    begins: int  # days from the day of the change
    lasts: int | None  # days; None is for ever
    on: bool


@dataclass(frozen=True)
class NightPlan:
    left_out: bool
    before: list[Change]
    in_between: list[Change]


@dataclass(frozen=True)
class History:
    reminder_days: list[int]
    valid_through_expiry_day: bool
    required: list[bool]
    grace_days: list[int]
    holdings: list[list[tuple[int, int, int | None]]]  # of each mentor: type, day of issue, how long it lasts
    max_subtasks: int
    nights: list[NightPlan]


BEFORE = [
    *["renew"] * 6,
    *["record", "record", "prolong", "prolong", "revoke", "unrevoke", "delete", "exempt", "unexempt"],
    *["pause", "activate", "activate", "end", "require", "grace", "reminder_days", "expiry_day"],
    *["auto_pause", "auto_resume"],
]
IN_BETWEEN = [
    *["renew", "renew", "prolong", "revoke", "revoke", "delete", "exempt", "pause", "activate", "activate", "end"],
    *["auto_pause", "auto_resume"],
]


def invent(seed: int) -> History:
    """Make up a whole history from one number: hypothesis, left to fill in thousands of them, repeats itself."""
    draw = random.Random(seed)

    def changes(kinds: list[str], at_most: int) -> list[Change]:
        return [
            Change(
                kind=draw.choice(kinds),
                who=draw.randrange(MENTORS),
                which=draw.randrange(12),
                begins=draw.randint(-40, 10),
                lasts=draw.choice([*range(90), *[None] * 10]),
                on=draw.random() < 0.5,
            )
            for _ in range(draw.randint(0, at_most))
        ]

    def holding() -> tuple[int, int, int | None]:
        return draw.randrange(4), draw.randint(-30, 10), draw.choice([*range(60), *[None] * 6])

    return History(
        reminder_days=draw.sample([0, 1, 3, 7, 14, 30], draw.randint(1, 4)),
        valid_through_expiry_day=draw.random() < 0.5,
        required=[True, True, draw.random() < 0.5, False],
        grace_days=draw.choices([0, 0, 0, 1, 10], k=4),
        holdings=[[holding() for _ in range(draw.randint(1, 4))] for _ in range(MENTORS)],
        max_subtasks=draw.choice([100, 3, 1]),
        nights=[
            NightPlan(
                left_out=draw.random() < 0.15,
                before=changes(BEFORE, at_most=4),
                in_between=changes(IN_BETWEEN, at_most=4) if draw.random() < 0.4 else [],
            )
            for _ in range(NIGHTS)
        ],
    )


@dataclass
class World:
    """The service and the model side by side; every change is made to both."""

    organisation: Organisation
    chapter: Chapter
    board: User
    service: model.Service
    types: list[tuple[CertificationType, model.Type]]
    mentors: list[tuple[Mentor, model.Mentor]]
    # Rows of the database, by their counterpart in the model.
    rows: dict[model.Certification | model.Exemption, int] = field(default_factory=dict)
    numbers: int = 0

    def change(self, change: Change, on: date, among: Sequence[str] = ()) -> None:
        """Make the change; to one of the mentors `among` those named, where there are any."""
        if among:
            refs = [twin.ref for _row, twin in self.mentors]
            change = replace(change, who=refs.index(among[change.who % len(among)]))
        getattr(self, f"_{change.kind}")(change, on)

    def paused(self) -> list[str]:
        return [twin.ref for _row, twin in self.mentors if twin.status == "paused"]

    def record(self, who: int, which: int, issued_on: date, lasts: int | None) -> None:
        self.numbers += 1
        type_row, type_twin = self.types[which % len(self.types)]
        mentor_row, mentor_twin = self.mentors[who]
        number = f"C{self.numbers}"
        expires_on = None if lasts is None else issued_on + timedelta(days=lasts)
        row = Certification.objects.create(
            mentor=mentor_row, type=type_row, number=number, issued_on=issued_on, expires_on=expires_on
        )
        twin = model.Certification(type_twin, number, issued_on, expires_on)
        mentor_twin.certifications.append(twin)
        self.rows[twin] = row.pk

    def _record(self, change: Change, on: date) -> None:
        self.record(change.who, change.which, on + timedelta(days=change.begins), change.lasts)

    def _renew(self, change: Change, on: date) -> None:
        """Record a short successor of what the mentor holds, so that it soon runs out again."""
        if held := self._held(change):
            which = [twin for _row, twin in self.types].index(held.type)
            lasts = None if change.lasts is None else change.lasts // 5
            self.record(change.who, which, on + timedelta(days=change.begins // 10), lasts)

    def _held(self, change: Change) -> model.Certification | None:
        held = self.mentors[change.who][1].certifications
        return held[change.which % len(held)] if held else None

    def _update(self, twin: model.Certification, **fields: Any) -> None:
        Certification.objects.filter(pk=self.rows[twin]).update(**fields)

    def _prolong(self, change: Change, on: date) -> None:
        if twin := self._held(change):
            lasts = None if change.lasts is None else on + timedelta(days=change.lasts - 20)
            twin.expires_on = None if lasts is None else max(lasts, twin.issued_on)
            self._update(twin, expires_on=twin.expires_on)

    def _revoke(self, change: Change, on: date) -> None:
        if twin := self._held(change):
            twin.revoked = True
            self._update(twin, revoked_at=noon(on), revoked_reason="a test")

    def _unrevoke(self, change: Change, on: date) -> None:
        if twin := self._held(change):
            twin.revoked = False
            self._update(twin, revoked_at=None, revoked_reason="")

    def _delete(self, change: Change, on: date) -> None:
        if twin := self._held(change):
            self.mentors[change.who][1].certifications.remove(twin)
            Certification.objects.filter(pk=self.rows.pop(twin)).delete()

    def _exempt(self, change: Change, on: date) -> None:
        type_row, type_twin = self.types[change.which % len(self.types)]
        mentor_row, mentor_twin = self.mentors[change.who]
        from_on = on + timedelta(days=change.begins)
        until_on = from_on + timedelta(days=change.lasts or 0)
        row = Exemption.objects.create(
            mentor=mentor_row,
            type=type_row,
            from_on=from_on,
            until_on=until_on,
            reason="a test",
            approved_by=self.board,
        )
        twin = model.Exemption(type_twin, from_on, until_on)
        mentor_twin.exemptions.append(twin)
        self.rows[twin] = row.pk

    def _unexempt(self, change: Change, on: date) -> None:
        exemptions = self.mentors[change.who][1].exemptions
        if exemptions:
            twin = exemptions.pop(change.which % len(exemptions))
            Exemption.objects.filter(pk=self.rows.pop(twin)).delete()

    def _change_status(self, change: Change, on: date, to_status: Mentor.Status, cause: str | None) -> None:
        row, twin = self.mentors[change.who]
        changed = change_status(
            {row.pk: verbatim("a person did it")},
            from_status=Mentor.Status(twin.status),
            to_status=to_status,
            cause=Mentor.PauseCause(cause) if cause else None,
            now=noon(on),
            actor=self.board,
        )
        assert list(changed) == [row.pk]

    def _pause(self, change: Change, on: date) -> None:
        _row, twin = self.mentors[change.who]
        if twin.status == "active":
            self._change_status(change, on, Mentor.Status.PAUSED, "manual")
            twin.become_paused("manual")

    def _activate(self, change: Change, on: date) -> None:
        _row, twin = self.mentors[change.who]
        if twin.status != "active":
            self._change_status(change, on, Mentor.Status.ACTIVE, twin.pause_cause)
            twin.become_active()

    def _end(self, change: Change, on: date) -> None:
        _row, twin = self.mentors[change.who]
        if change.which < 4 and twin.status != "ended":
            self._change_status(change, on, Mentor.Status.ENDED, None)
            twin.end()

    def _require(self, change: Change, on: date) -> None:
        row, twin = self.types[change.which % len(self.types)]
        twin.required = row.required = change.on
        row.save()

    def _grace(self, change: Change, on: date) -> None:
        row, twin = self.types[change.which % len(self.types)]
        twin.grace_days = row.grace_days = change.which
        CertificationType.objects.filter(pk=row.pk).update(grace_days=change.which)

    def _reminder_days(self, change: Change, on: date) -> None:
        days = [[30, 14, 7], [1], [7, 3, 0], [], [2, 30]][change.which % 5]
        self.service.organisation.reminder_days = tuple(days)
        self._set(reminder_days=days)

    def _expiry_day(self, change: Change, on: date) -> None:
        self.service.organisation.valid_through_expiry_day = change.on
        self._set(valid_through_expiry_day=change.on)

    # Switched off for a part of the nights only, so that most of them do something.

    def _auto_pause(self, change: Change, on: date) -> None:
        self.service.organisation.auto_pause = change.on or change.which > 2
        self._set(auto_pause=change.on or change.which > 2)

    def _auto_resume(self, change: Change, on: date) -> None:
        self.service.organisation.auto_resume = change.on or change.which > 2
        self._set(auto_resume=change.on or change.which > 2)

    def _set(self, **fields: Any) -> None:
        Organisation.objects.filter(pk=self.organisation.pk).update(**fields)


def build(history: History) -> World:
    organisation = Organisation.objects.create(
        slug="org",
        name="Org",
        reminder_days=history.reminder_days,
        valid_through_expiry_day=history.valid_through_expiry_day,
    )
    chapter = Chapter.objects.create(organisation=organisation, name="Oslo", slug="oslo")
    settings_twin = model.Organisation(
        reminder_days=tuple(history.reminder_days), valid_through_expiry_day=history.valid_through_expiry_day
    )
    board = User.objects.create_user("board")
    CoordinatorRole.objects.create(user=board, organisation=organisation)  # whoever has no address: somebody is told
    world = World(organisation, chapter, board, model.Service(settings_twin), types=[], mentors=[])
    for code, required, grace_days in zip(TYPES, history.required, history.grace_days, strict=True):
        row = CertificationType.objects.create(
            organisation=organisation, code=code, name=code, required=required, grace_days=grace_days
        )
        world.types.append((row, model.Type(code, required, grace_days)))
    for who, holdings in enumerate(history.holdings):
        mentor = Mentor.objects.create(organisation=organisation, chapter=chapter, ref=f"M{who}", name=f"Mentor {who}")
        twin = model.Mentor(mentor.ref)
        world.mentors.append((mentor, twin))
        world.service.mentors.append(twin)
        for which, issued, lasts in holdings:
            world.record(who, which, day(issued), lasts)
    return world


def items_of(run: Run, status: str) -> Counter[model.Item]:
    items = RunItem.objects.filter(run=run, status=status).values_list(
        "action", "mentor__ref", "type", "number", "expires_on", "stage"
    )
    return Counter(model.Item(*item) for item in items)


def play_night(world: World, on: date, in_between: list[Change]) -> model.Night:
    """Play one night in both, and compare what was done, what was skipped, and how everybody is afterwards."""
    items = world.service.plan(on).values()
    # Pauses and resumes are rarer than reminders, so they are interfered with first.
    due = sorted({item.mentor_ref for item in items if item.action != "remind"} or {item.mentor_ref for item in items})

    def interfere() -> None:
        for change in in_between:
            world.change(change, on, among=due)

    runs: list[Run] = []

    # The model plans, then the service plays its whole night, the changes in between made to both; then the model acts.
    def work() -> None:
        runs.append(run_night(world.organisation, on, in_between=interfere))

    night = world.service.night(on, in_between=work)
    [run] = runs

    assert items_of(run, "done") == Counter(night.done)
    assert {(i.action, i.mentor_ref, i.stage) for i in items_of(run, "skipped")} == {
        (i.action, i.mentor_ref, i.stage) for i in night.skipped
    }
    assert run.status == Run.Status.SUCCEEDED, run.error
    for count in run.counts.values():
        assert count["planned"] == count["done"] + count["skipped"]
        assert count["failed"] == 0
    assert sum(count["done"] for count in run.counts.values()) == len(night.done)
    check_mentors(world, on)
    return night


def check_mentors(world: World, on: date) -> None:
    rows = Mentor.objects.in_bulk([row.pk for row, _twin in world.mentors])
    on_the_page = set(public_names(chapter=world.chapter, on=on))
    for row, twin in world.mentors:
        mentor = rows[row.pk]
        assert (mentor.ref, mentor.status, mentor.pause_cause) == (twin.ref, twin.status, twin.pause_cause)
        assert mentor.lapses_on == expected_lapses_on(world.service, twin)
        assert (mentor.name in on_the_page) == (twin.status == "active" and not world.service.lapsed_types(twin, on))


def expected_lapses_on(service: model.Service, mentor: model.Mentor) -> date | None:
    """Return the first day not covered by the latest certification of some required type."""
    latest: dict[model.Type, date] = {}
    for certification in mentor.certifications:
        if certification.type.required and not certification.revoked:
            lapses_on = service.lapses_on(certification) or date.max
            latest[certification.type] = max(latest.get(certification.type, lapses_on), lapses_on)
    first = min(latest.values(), default=date.max)
    return None if first == date.max else first


def check_log(world: World) -> None:
    """Every change of a status has exactly one line in the log, and the log is what the row history tells."""
    event: Any = Mentor._meta.get_field("events").related_model
    for row, twin in world.mentors:
        log = list(StatusChange.objects.filter(mentor=row).order_by("id"))
        statuses = list(event.objects.filter(pgh_obj=row).order_by("pgh_id").values_list("status", flat=True))
        seen = [(before, after) for before, after in pairwise(statuses) if before != after]
        assert [(line.from_status, line.to_status) for line in log] == seen
        assert [line.to_status for line in log].count("paused") == twin.times_paused
        assert [line.to_status for line in log].count("active") == twin.times_active


def check_keys() -> None:
    """No key acted twice (invariant 1)."""
    keys = RunItem.objects.filter(status="done").values_list("dedupe_key", flat=True)
    assert max(Counter(keys).values(), default=1) == 1


def play(history: History, seen: Counter[str]) -> None:
    world = build(history)
    for number, plan in enumerate(history.nights):
        on = day(number)
        for change in plan.before:
            world.change(change, on, among=world.paused() if change.kind == "renew" else ())
        if plan.left_out:
            seen["night left out"] += 1
            continue

        night = play_night(world, on, plan.in_between)
        seen.update(item.action for item in night.done)
        seen.update(f"{item.action} skipped" for item in night.skipped)
        if number % 3 == 0 or plan.in_between:
            again = play_night(world, on, [])
            assert plan.in_between or not again.done, "a second run of the same night did something"
        if world.service.organisation.auto_pause:
            active = [twin for _row, twin in world.mentors if twin.status == "active"]
            assert not any(world.service.lapsed_types(twin, on) for twin in active)
    check_log(world)
    check_keys()


def play_invented(seed: int, seen: Counter[str], settings: Settings) -> None:
    history = invent(seed)
    settings.NIGHTLY_MAX_SUBTASKS = history.max_subtasks
    before = transaction.savepoint()  # no `atomic`: a claim is in nobody's transaction
    play(history, seen)
    transaction.savepoint_rollback(before)


@pytest.mark.canary
def test_every_night_of_two_known_histories_does_what_the_rules_say(db: None, settings: Settings) -> None:
    seen: Counter[str] = Counter()

    for seed in KNOWN:
        play_invented(seed, seen, settings)

    assert set(seen) >= EVERYTHING


@pytest.mark.timeout(300 * EXAMPLES)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_night_of_every_history_does_what_the_rules_say(db: None, settings: Settings, part: int) -> None:
    seen: Counter[str] = Counter()

    @hypothesis.settings(
        max_examples=ceil(EXAMPLES / PARTS),
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**32 - 1))
    def histories(seed: int) -> None:
        play_invented(PARTS * seed + part, seen, settings)

    histories()

    print("histories:", dict(sorted(seen.items())))
