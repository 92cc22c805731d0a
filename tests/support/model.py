"""The rules of docs/rules.md once more, in plain Python, slow and obvious.

Written from the text of the rules alone: nothing of the project is imported, no date is stored, nothing is indexed.
A `State` is what is on record at one moment, and answers what the rules say of it. Whatever the service does must be
what this says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Organisation:
    id: int = 1
    timezone: str = "Europe/Oslo"
    auto_pause: bool = True
    auto_resume: bool = True
    reminder_days: tuple[int, ...] = (30, 14, 7)
    valid_through_expiry_day: bool = True

    @property
    def one_day(self) -> timedelta:
        return ONE_DAY if self.valid_through_expiry_day else timedelta()

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(ZoneInfo(self.timezone)).date()


@dataclass(frozen=True, kw_only=True)
class Type:
    id: int
    organisation_id: int = 1
    code: str
    required: bool
    grace_days: int = 0


@dataclass(frozen=True, kw_only=True)
class Certification:
    id: int
    mentor_id: int
    type_id: int
    number: str
    issued_on: date
    expires_on: date | None
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class Exemption:
    mentor_id: int
    type_id: int
    from_on: date
    until_on: date


@dataclass(frozen=True, kw_only=True)
class Mentor:
    id: int
    organisation_id: int = 1
    chapter_id: int = 1
    ref: str
    name: str = ""
    email: str = ""
    listed: bool = True
    status: str = "active"
    pause_cause: str | None = None
    lapses_on: date | None = None  # what the service has stored


@dataclass(frozen=True, kw_only=True)
class Role:
    """A coordinator's role that is in force: of an active user."""

    user_id: int
    organisation_id: int
    chapter_id: int | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A line of the log of statuses; `types` are the codes that a pause by the night names."""

    id: int
    mentor_id: int
    from_status: str
    to_status: str
    cause: str | None
    types: list[str]
    by_person: bool
    run_id: UUID | None
    business_date: date | None  # by whose rules it was done
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Run:
    id: UUID
    organisation_id: int
    business_date: date
    slot_on: date | None  # the local date of its slot
    actions: list[str]
    status: str
    counts: dict[str, dict[str, int]]
    approved: bool
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.status in {"planned", "running", "held"}


@dataclass(frozen=True, kw_only=True)
class Item:
    id: int
    run_id: UUID
    action: str
    dedupe_key: str
    mentor_id: int
    certification_id: int | None
    expires_on: date | None
    stage: int | None
    status: str
    outcome: str | None  # the code of what the ledger says of it


@dataclass(frozen=True, kw_only=True)
class Message:
    id: int
    organisation_id: int
    kind: str
    channel: str
    user_id: int | None
    mentor_id: int | None
    about_id: int | None
    run_id: UUID | None
    context: dict[str, Any]
    status: str
    message_id: str


@dataclass(frozen=True)
class Due:
    """One thing that a night does to one mentor. A pause's `type` is its lapsed type codes, sorted, with commas."""

    action: str
    mentor_ref: str
    type: str = ""
    number: str = ""
    expires_on: date | None = None
    stage: int | None = None


@dataclass(kw_only=True)
class State:
    """What is on record at one moment, each by its id."""

    organisations: dict[int, Organisation]
    types: dict[int, Type]
    mentors: dict[int, Mentor]
    certifications: list[Certification]
    exemptions: list[Exemption] = field(default_factory=list)
    extended: dict[int, bool] = field(
        default_factory=dict
    )  # certifications, and whether all their extensions are undone
    roles: list[Role] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)  # oldest first
    runs: dict[UUID, Run] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    messages: dict[int, Message] = field(default_factory=dict)
    history: list[tuple[int, str]] = field(default_factory=list)  # a mentor's status, each time the row changed

    @cached_property
    def held(self) -> dict[int, list[Certification]]:
        """The certifications in force, by mentor."""
        held: dict[int, list[Certification]] = {mentor_id: [] for mentor_id in self.mentors}
        for certification in self.certifications:
            if not certification.revoked:
                held[certification.mentor_id].append(certification)
        return held

    @cached_property
    def latest_changes(self) -> dict[int, Change]:
        return {change.mentor_id: change for change in self.changes}

    def organisation_of(self, mentor: Mentor) -> Organisation:
        return self.organisations[mentor.organisation_id]

    # Rules 1 to 3: what is true of a mentor on a day.

    def lapses_on(self, certification: Certification) -> date | None:
        """Rule 1: the first day not covered; None is never."""
        if certification.expires_on is None:
            return None
        one_day = self.organisation_of(self.mentors[certification.mentor_id]).one_day
        return certification.expires_on + one_day + timedelta(days=self.types[certification.type_id].grace_days)

    def covers(self, certification: Certification, d: date) -> bool:
        lapses_on = self.lapses_on(certification)
        return certification.issued_on <= d and (lapses_on is None or d < lapses_on)

    def is_covered(self, mentor: Mentor, type_id: int, d: date) -> bool:
        """Rule 2."""
        return any(held.type_id == type_id and self.covers(held, d) for held in self.held[mentor.id]) or any(
            exemption.mentor_id == mentor.id
            and exemption.type_id == type_id
            and exemption.from_on <= d <= exemption.until_on
            for exemption in self.exemptions
        )

    def lapsed_types(self, mentor: Mentor, d: date) -> list[str]:
        """Rule 3."""
        held = {certification.type_id for certification in self.held[mentor.id] if certification.issued_on <= d}
        return sorted(
            self.types[pk].code for pk in held if self.types[pk].required and not self.is_covered(mentor, pk, d)
        )

    def missing_types(self, mentor: Mentor, d: date) -> list[str]:
        """Rule 3: required types that the mentor never held, and is not exempted from."""
        held = {certification.type_id for certification in self.held[mentor.id] if certification.issued_on <= d}
        return sorted(
            type.code
            for pk, type in self.types.items()
            if type.required
            and type.organisation_id == mentor.organisation_id
            and pk not in held
            and not self.is_covered(mentor, pk, d)
        )

    def first_gap(self, mentor: Mentor) -> date | None:
        """What `lapses_on` of the mentor derives from: the first day that the latest of some required type misses."""
        latest: dict[int, date] = {}
        for certification in self.held[mentor.id]:
            if self.types[certification.type_id].required:
                lapses_on = self.lapses_on(certification) or date.max
                latest[certification.type_id] = max(latest.get(certification.type_id, lapses_on), lapses_on)
        first = min(latest.values(), default=date.max)
        return None if first == date.max else first

    # Rules 4 to 6: what is due on a day.

    def is_past(self, mentor: Mentor, d: date) -> bool:
        """Rule 5: whether the mentor's status is left alone, because a rule of a later day has changed it."""
        latest = self.latest_changes.get(mentor.id)
        return latest is not None and latest.business_date is not None and latest.business_date > d

    def must_pause(self, mentor: Mentor, *days: date) -> list[str]:
        """Rules 4 and 8: return the types that have lapsed on all of the days, if the night pauses the mentor."""
        if mentor.status != "active" or not self.organisation_of(mentor).auto_pause:
            return []
        if any(self.is_past(mentor, d) for d in days):
            return []
        return sorted(set.intersection(*(set(self.lapsed_types(mentor, d)) for d in days)))

    def may_resume(self, mentor: Mentor, *days: date) -> bool:
        """Rules 5 and 8: nothing has lapsed, and what the pause named is covered or no longer required."""
        if (mentor.status, mentor.pause_cause) != ("paused", "certification_expired"):
            return False
        if not self.organisation_of(mentor).auto_resume:
            return False
        return not any(
            self.lapsed_types(mentor, d) or self.still_missed(mentor, d) or self.is_past(mentor, d) for d in days
        )

    def still_missed(self, mentor: Mentor, d: date) -> list[str]:
        """Return the types that the mentor's pause names, and that are required and not covered."""
        pause = self.latest_changes.get(mentor.id)
        named = pause.types if pause else []
        return [
            type.code
            for pk, type in self.types.items()
            if type.organisation_id == mentor.organisation_id
            and type.code in named
            and type.required
            and not self.is_covered(mentor, pk, d)
        ]

    def stage(self, certification: Certification, d: date) -> int | None:
        """Rule 6: the stage of the reminder that is due; None is none."""
        mentor, expires_on = self.mentors[certification.mentor_id], certification.expires_on
        organisation = self.organisation_of(mentor)
        if mentor.status == "ended" or certification.revoked or expires_on is None:
            return None
        if certification.issued_on > d or expires_on < d or d >= expires_on + organisation.one_day:
            return None
        if any(self.supersedes(other, certification) for other in self.held[mentor.id]):
            return None
        days_left = (expires_on - d).days
        return min((days for days in organisation.reminder_days if days_left <= days), default=None)

    def supersedes(self, other: Certification, certification: Certification) -> bool:
        assert certification.expires_on is not None
        one_day = self.organisation_of(self.mentors[certification.mentor_id]).one_day
        return (
            other.id != certification.id
            and other.type_id == certification.type_id
            and (other.expires_on is None or other.expires_on > certification.expires_on)
            and other.issued_on <= certification.expires_on + one_day
        )

    def is_reminded(self, certification: Certification, stage: int, d: date, today: date) -> bool:
        """Rules 6 and 8: the stage is due on the run's day, and no later one today."""
        return self.stage(certification, d) == stage == self.stage(certification, today)

    def due(self, d: date) -> Iterator[Due]:
        """Yield what a first night on the day does, if it is done on that day."""
        for mentor in self.mentors.values():
            if lapsed := self.must_pause(mentor, d):
                yield Due("pause", mentor.ref, ",".join(lapsed))
            if self.may_resume(mentor, d):
                yield Due("resume", mentor.ref)
            for held in self.held[mentor.id]:
                stage = self.stage(held, d)
                if stage is not None:
                    yield Due("remind", mentor.ref, self.types[held.type_id].code, held.number, held.expires_on, stage)

    # Rules 8, 11 and 12: who sees and is told what.

    def is_public(self, mentor: Mentor, today: date) -> bool:
        return mentor.status == "active" and mentor.listed and not self.lapsed_types(mentor, today)

    def reaches(self, user_id: int, mentor: Mentor) -> bool:
        """Whether a role in force of the user reaches the mentor."""
        return any(
            role.user_id == user_id
            and role.organisation_id == mentor.organisation_id
            and role.chapter_id in {None, mentor.chapter_id}
            for role in self.roles
        )

    def events_of(self, message: Message) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = message.context.get("events", [])
        return events
