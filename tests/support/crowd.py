"""A crowd: what a night must do to each, and whether it did. These are the invariants of docs/rules.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from functools import partial
from itertools import cycle, islice, pairwise
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db import connection
from django.utils import timezone

from certifications.models import Certification, CertificationType
from cronjobs.models import Run, RunItem
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.channels import INBOX
from notifications.models import Notification

COURSE, SECRECY, SIGN_LANGUAGE = "likepersonkurs", "taushetserklaering", "tegnsprak"
LONG_AGO = verbatim("Paused before this night.")


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
    analyze()
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


def analyze() -> None:
    """Know the tables, as autovacuum sees to within a minute."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE mentors_mentor, certifications_certification")


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
    """Check every invariant of docs/rules.md; `failed` are the mentors whose items must have failed."""
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
    in_the_log: dict[int, list[tuple[str, str]]] = {pk: [] for pk in pks}
    in_the_history: dict[int, list[str]] = {pk: [] for pk in pks}
    for pk, before, after in logged.values_list("mentor_id", "from_status", "to_status"):
        in_the_log[pk].append((before, after))
    for pk, status in history.values_list("pgh_obj_id", "status"):
        in_the_history[pk].append(status)
    assert in_the_log == {pk: list(pairwise(statuses)) for pk, statuses in in_the_history.items()}
