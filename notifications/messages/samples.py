"""A message of every kind, made of nobody's data and without the database: for previews, pictures and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, SecurityEvent, User
from notifications.channel import Recipient
from notifications.channels import EMAIL, OPERATIONS
from notifications.links import Links
from notifications.messages.context import Message, NotificationEvent
from notifications.models import Answer, Notification

Kind = Notification.Kind
Event = SecurityEvent.Kind

HOST = "https://nattevakt.example"
TOKEN = "1042.1vMkZ2.3mXQv0c8"  # noqa: S105
RUN = UUID("7f3a5c1e-2b64-4d0c-9a57-0c1b7d0f4e21")
ORGANISATION = Organisation(pk=1, slug="hlf", name="HLF")
OSLO, BERGEN = (
    Chapter(pk=pk, organisation=ORGANISATION, name=name, slug=name.lower()) for pk, name in ((1, "Oslo"), (2, "Bergen"))
)
COORDINATOR = User(pk=1, username="kari", first_name="Kari", last_name="Nes", password="!")  # noqa: S106 (none: she is invited)
NAMES = ("Liv Moe", "Arne Dal", "Berit Li", "Finn Vik", "Guro Aas", "Jon Eide")
COURSE, FIRST_AID, SIGN_LANGUAGE = "Likepersonkurs", "Førstehjelp", "Tegnspråk"


def sample_messages(language: str, today: date) -> list[tuple[str, Message]]:
    """Return a message of every kind and variant, as (slug, message), in the language and as read on the day."""
    return [
        (slug, Message(**{"today": today, "recipient": Recipient(), **fields}))
        for slug, fields in (
            *_to_mentors(language, today),
            *_to_coordinators(language, today),
            *_summaries(language, today),
            *_to_operations(language),
            *_to_invited(language),
            *_to_owners(language),
        )
    ]


Samples = Iterator[tuple[str, dict[str, Any]]]


def _to_mentors(language: str, today: date) -> Samples:
    week, month = _remind(today, COURSE, 7), _remind(today, FIRST_AID, 30)
    pause, resume = _facts(Kind.PAUSE, FIRST_AID), _facts(Kind.RESUME)
    paused = _mentor(0, Mentor.Status.PAUSED, Mentor.PauseCause.CERTIFICATION_EXPIRED)
    by_hand = _mentor(0, Mentor.Status.PAUSED, Mentor.PauseCause.MANUAL)
    yield "one-reminder", _to_mentor(language, _mentor(0), week)
    yield "several-reminders", _to_mentor(language, _mentor(0), month, week, _remind(today, SIGN_LANGUAGE, 1))
    yield "paused", _to_mentor(language, paused, pause)
    yield "paused-by-a-person", _to_mentor(language, by_hand, _facts(Kind.PAUSE))
    yield "resumed", _to_mentor(language, _mentor(0), resume)
    yield "resumed-and-reminded", _to_mentor(language, _mentor(0), resume, month)


def _to_coordinators(language: str, today: date) -> Samples:
    active, paused = _mentor(0), _mentor(0, Mentor.Status.PAUSED, Mentor.PauseCause.CERTIFICATION_EXPIRED)
    reminder, pause = _remind(today, COURSE, 7), _facts(Kind.PAUSE, FIRST_AID)
    yield "reminder-of-a-mentor", _to_coordinator(language, Kind.REMIND, [_event(active, reminder)])
    yield "pause-of-a-mentor", _to_coordinator(language, Kind.PAUSE, [_event(paused, pause)])
    yield "resume-of-a-mentor", _to_coordinator(language, Kind.RESUME, [_event(active, _facts(Kind.RESUME))])
    left = [_event(_mentor(number, Mentor.Status.PAUSED), _facts(Kind.PAUSE)) for number in (0, 1, 2)]
    stand_ins = {OSLO.pk: ["Guro Aas", "Jon Eide"]}
    yield "hand-over", _to_coordinator(language, Kind.HANDOVER, left) | {"stand_ins": stand_ins}
    yield "hand-over-to-nobody", _to_coordinator(language, Kind.HANDOVER, left[:1])
    for choice in Answer.Choice:
        yield f"answer-{choice}", _to_coordinator(language, Kind.ANSWER, [_event(active, _answer(choice, reminder))])
    yield "messages-come-back", _to_coordinator(language, Kind.BOUNCED, [_event(active, _bounce())])
    yield (
        "messages-to-a-coordinator-come-back",
        _to_coordinator(language, Kind.BOUNCED, [], context={**_bounce(), "name": "Ola Berg"}),
    )


def _summaries(language: str, today: date) -> Samples:
    told = [
        *(_event(_mentor(number, Mentor.Status.PAUSED), _facts(Kind.PAUSE, FIRST_AID)) for number in (0, 1)),
        _event(_mentor(2, Mentor.Status.PAUSED, chapter=BERGEN), _facts(Kind.PAUSE, COURSE, FIRST_AID)),
        _event(_mentor(3), _remind(today, COURSE, 14)),
        _event(_mentor(4), _remind(today, COURSE, 7)),
    ]
    stand_ins = {OSLO.pk: ["Guro Aas", "Jon Eide"], BERGEN.pk: []}
    yield "summary-of-a-night", _to_coordinator(language, Kind.DIGEST, told) | {"stand_ins": stand_ins}
    of_the_week = [
        told[0],
        told[-1],
        _event(_mentor(4), _answer(Answer.Choice.RENEWING, _remind(today, COURSE, 7))),
        _event(_mentor(5), _bounce()),
        _event(_mentor(1), _facts(Kind.RESUME)),
    ]
    yield "summary-of-a-week", _to_coordinator(language, Kind.WEEKLY, of_the_week) | {"stand_ins": stand_ins}


def _to_operations(language: str) -> Samples:
    held = {"would_pause": 42, "active": 120, "limit": 36}
    yield "run-is-held", _to_coordinator(language, Kind.HELD, [], context=held, run_id=RUN)
    yield "nobody-looks-after-mentors", _message(language, Kind.NO_COORDINATOR, run_id=RUN)
    yield "run-is-late", _message(language, Kind.LATE, run_id=RUN)
    yield "run-has-failed", _message(language, Kind.FAILED, run_id=RUN, context={"failed": 3})
    yield "app-is-gone", _message(language, Kind.APP_GONE, context={"host": "app.hlf.example"})


def _to_invited(language: str) -> Samples:
    facts = {"duty": CoordinatorRole.Duty.COORDINATOR, "chapter": "Oslo", "invited_by": "Ola Berg"}
    new = _to_coordinator(language, Kind.INVITED, [], context=facts)
    links = Links(desk=f"{HOST}/admin/", invitation=f"{HOST}/admin/invitation/17/{TOKEN}/")
    yield "invitation", new | {"links": links}
    another = _to_coordinator(language, Kind.INVITED, [], context={**facts, "chapter": ""})
    another["notification"].recipient_user = User(pk=1, username="kari", first_name="Kari", last_name="Nes")
    yield "another-role", another | {"links": links}


def _to_owners(language: str) -> Samples:
    facts = {
        "at": "2026-11-21T11:00:00+00:00",
        "timezone": "Europe/Oslo",
        "organisation": "HLF",
        "device": "Firefox, Windows",
        "address": "192.0.2.7",
    }
    links = Links(desk=f"{HOST}/admin/", access=f"{HOST}/admin/access/", password=f"{HOST}/admin/password/")
    for slug, what, more in (
        ("new-device", Event.NEW_DEVICE, {}),
        ("new-token", Event.TOKEN_ISSUED, {"token": "7c61f0a9b2d4e85"}),
        ("password-changed", Event.PASSWORD_CHANGED, {}),
        ("second-factor-reset", Event.SECOND_FACTOR_RESET, {"by": "Ola Berg"}),
        ("role-ended", Event.ROLE_ENDED, {"by": "Ola Berg"}),
    ):
        row = Notification(
            kind=Kind.ACCOUNT,
            channel=EMAIL,
            recipient_user=COORDINATOR,
            language=language,
            context={**facts, "what": what, **more},
        )
        yield (
            slug,
            {"notification": row, "recipient_name": COORDINATOR.get_full_name(), "events": [], "links": links},
        )


def _facts(kind: Kind, *names: str) -> dict[str, Any]:
    return {"kind": kind, "types": ",".join(name.lower() for name in names), "names": list(names)}


def _remind(today: date, name: str, days: int) -> dict[str, Any]:
    expires_on = str(today + timedelta(days=days))
    return {**_facts(Kind.REMIND, name), "certification_id": days, "expires_on": expires_on, "stage": days}


def _answer(choice: Answer.Choice, reminder: dict[str, Any]) -> dict[str, Any]:
    return {"kind": Kind.ANSWER, "answer": choice, "events": [reminder]}


def _bounce() -> dict[str, Any]:
    return {"kind": Kind.BOUNCED, "reason": "550 5.1.1 User unknown"}


def _mentor(
    number: int,
    status: Mentor.Status = Mentor.Status.ACTIVE,
    cause: Mentor.PauseCause | None = None,
    chapter: Chapter = OSLO,
) -> Mentor:
    name, ref = NAMES[number], f"M{number}"
    return Mentor(
        pk=number + 1, organisation=ORGANISATION, chapter=chapter, name=name, ref=ref, status=status, pause_cause=cause
    )


def _event(mentor: Mentor, facts: dict[str, Any]) -> NotificationEvent:
    return NotificationEvent(kind=Kind(facts["kind"]), mentor=mentor, facts=facts)


def _to_mentor(language: str, mentor: Mentor, *events: dict[str, Any]) -> dict[str, Any]:
    row = Notification(
        kind=Kind.NIGHT,
        channel=EMAIL,
        organisation=ORGANISATION,
        recipient_mentor=mentor,
        about=mentor,
        language=language,
        context={"events": list(events)},
    )
    answer = f"{HOST}/answer/{TOKEN}"
    is_asked = any(facts["kind"] == Kind.REMIND for facts in events)
    links = Links(answer=answer, answers={choice: f"{answer}/{choice}" for choice in Answer.Choice})
    return {
        "notification": row,
        "recipient_name": mentor.name,
        "events": [_event(mentor, facts) for facts in events],
        "links": links if is_asked else Links(),
    }


def _to_coordinator(
    language: str,
    kind: Kind,
    events: Sequence[NotificationEvent],
    *,
    context: dict[str, Any] | None = None,
    run_id: UUID | None = None,
) -> dict[str, Any]:
    is_about_one = len(events) == 1 and kind != Kind.HANDOVER
    row = Notification(
        kind=kind,
        channel=EMAIL,
        organisation=ORGANISATION,
        recipient_user=COORDINATOR,
        about=events[0].mentor if is_about_one else None,
        run_id=run_id,
        language=language,
        context=context or (events[0].facts if is_about_one else {}),
    )
    return {
        "notification": row,
        "recipient_name": COORDINATOR.get_full_name(),
        "events": list(events),
        "links": Links(desk=f"{HOST}/admin/", preference=f"{HOST}/preference/{TOKEN}"),
    }


def _message(
    language: str, kind: Kind, *, run_id: UUID | None = None, context: dict[str, Any] | None = None
) -> dict[str, Any]:
    row = Notification(
        kind=kind,
        channel=OPERATIONS,
        organisation=ORGANISATION,
        run_id=run_id,
        language=language,
        context=context or {},
    )
    return {"notification": row, "recipient_name": "", "events": [], "links": Links(desk=f"{HOST}/admin/")}
