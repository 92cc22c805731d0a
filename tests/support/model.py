"""The rules of docs/rules.md once more, in plain Python, slow and obvious.

Written from the text of the rules alone: nothing of the project is imported, no date is stored, nothing is indexed.
Whatever the service does in a night must be what this does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass
class Organisation:
    auto_pause: bool = True
    auto_resume: bool = True
    reminder_days: tuple[int, ...] = (30, 14, 7)
    valid_through_expiry_day: bool = True

    @property
    def one_day(self) -> timedelta:
        return timedelta(days=1 if self.valid_through_expiry_day else 0)


@dataclass(eq=False)
class Type:
    code: str
    required: bool
    grace_days: int = 0


@dataclass(eq=False)
class Certification:
    type: Type
    number: str
    issued_on: date
    expires_on: date | None
    revoked: bool = False


@dataclass(eq=False)
class Exemption:
    type: Type
    from_on: date
    until_on: date


@dataclass(eq=False)
class Mentor:
    ref: str
    status: str = "active"
    pause_cause: str | None = None
    certifications: list[Certification] = field(default_factory=list)
    exemptions: list[Exemption] = field(default_factory=list)
    # How often the mentor became active, and how often paused: what tells one period from the next.
    times_active: int = 0
    times_paused: int = 0
    paused_for: list[Type] = field(default_factory=list)

    def become_active(self) -> None:
        self.status, self.pause_cause = "active", None
        self.times_active += 1

    def become_paused(self, cause: str, paused_for: Iterable[Type] = ()) -> None:
        self.status, self.pause_cause, self.paused_for = "paused", cause, list(paused_for)
        self.times_paused += 1

    def end(self) -> None:
        self.status, self.pause_cause = "ended", None


@dataclass(frozen=True)
class Item:
    """One thing done to one mentor. A pause's `type` is its lapsed type codes, sorted, joined by commas."""

    action: str
    mentor_ref: str
    type: str = ""
    number: str = ""
    expires_on: date | None = None
    stage: int | None = None


@dataclass(frozen=True)
class Night:
    done: list[Item]
    skipped: list[Item]


# (action, mentor, how often active or paused), or ("remind", certification, expires_on, stage)
Key = tuple[object, ...]


@dataclass
class Service:
    organisation: Organisation
    mentors: list[Mentor] = field(default_factory=list)
    ledger: set[Key] = field(default_factory=set)

    # Rules 1 to 3: what is true of a mentor on a day.

    def lapses_on(self, certification: Certification) -> date | None:
        if certification.expires_on is None:
            return None
        return certification.expires_on + self.organisation.one_day + timedelta(days=certification.type.grace_days)

    def is_covered(self, mentor: Mentor, type: Type, d: date) -> bool:
        for certification in mentor.certifications:
            if certification.type is not type or certification.revoked or certification.issued_on > d:
                continue
            lapses_on = self.lapses_on(certification)
            if lapses_on is None or d < lapses_on:
                return True
        return any(
            exemption.type is type and exemption.from_on <= d <= exemption.until_on for exemption in mentor.exemptions
        )

    def lapsed(self, mentor: Mentor, d: date) -> set[Type]:
        held = {
            certification.type
            for certification in mentor.certifications
            if certification.type.required and not certification.revoked and certification.issued_on <= d
        }
        return {type for type in held if not self.is_covered(mentor, type, d)}

    def lapsed_types(self, mentor: Mentor, d: date) -> list[str]:
        return sorted(type.code for type in self.lapsed(mentor, d))

    # Rules 4 to 6: what is due on a day.

    def must_pause(self, mentor: Mentor, d: date) -> bool:
        return self.organisation.auto_pause and mentor.status == "active" and bool(self.lapsed_types(mentor, d))

    def must_resume(self, mentor: Mentor, d: date) -> bool:
        return (
            self.organisation.auto_resume
            and mentor.status == "paused"
            and mentor.pause_cause == "certification_expired"
            and not self.lapsed(mentor, d)
            and all(not type.required or self.is_covered(mentor, type, d) for type in mentor.paused_for)
        )

    def stage(self, mentor: Mentor, certification: Certification, d: date) -> int | None:
        expires_on = certification.expires_on
        if mentor.status == "ended" or certification.revoked or expires_on is None:
            return None
        if certification.issued_on > d or expires_on < d or d >= expires_on + self.organisation.one_day:
            return None
        if any(self.supersedes(other, certification) for other in mentor.certifications):
            return None
        days_left = (expires_on - d).days
        return min((days for days in self.organisation.reminder_days if days_left <= days), default=None)

    def supersedes(self, other: Certification, certification: Certification) -> bool:
        assert certification.expires_on is not None
        return (
            other is not certification
            and not other.revoked
            and other.type is certification.type
            and (other.expires_on is None or other.expires_on > certification.expires_on)
            and other.issued_on <= certification.expires_on + self.organisation.one_day
        )

    def due(self, d: date) -> Iterator[tuple[Key, Item]]:
        """Yield what the rules ask for on the day, done before or not."""
        for mentor in self.mentors:
            if self.must_pause(mentor, d):
                codes = ",".join(self.lapsed_types(mentor, d))
                yield ("pause", mentor.ref, mentor.times_active), Item("pause", mentor.ref, codes)
            if self.must_resume(mentor, d):
                yield ("resume", mentor.ref, mentor.times_paused), Item("resume", mentor.ref)
            for certification in mentor.certifications:
                stage = self.stage(mentor, certification, d)
                if stage is not None:
                    expires_on = certification.expires_on
                    yield (
                        ("remind", certification, expires_on, stage),
                        Item("remind", mentor.ref, certification.type.code, certification.number, expires_on, stage),
                    )

    def plan(self, d: date) -> dict[Key, Item]:
        return {key: item for key, item in self.due(d) if key not in self.ledger}

    def night(self, d: date, in_between: Callable[[], object] | None = None) -> Night:
        """Play one night. What is no longer true after `in_between` is not done (rule 8)."""
        planned = self.plan(d)
        if in_between:
            in_between()
        still_due = {subject(key): item for key, item in self.due(d)}
        done = {key: still_due[subject(key)] for key in planned if subject(key) in still_due}
        mentors = {mentor.ref: mentor for mentor in self.mentors}
        for item in done.values():
            if item.action == "pause":
                mentor = mentors[item.mentor_ref]
                mentor.become_paused("certification_expired", self.lapsed(mentor, d))
            if item.action == "resume":
                mentors[item.mentor_ref].become_active()
        self.ledger |= done.keys()
        return Night(list(done.values()), [item for key, item in planned.items() if key not in done])


def subject(key: Key) -> Key:
    """Return what an item acts on: the mentor, in whatever period, or the certification with its stage."""
    return key if key[0] == "remind" else key[:2]
