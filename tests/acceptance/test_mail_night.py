"""The night of 2026-11-21 over 849 real holders, read back from a real mail server."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.utils import translation
from django.utils.formats import date_format

from certifications.recheck import recheck_messages
from cronjobs.models import Run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.delivery import deliver_all
from notifications.models import BadAddress, Notification, Preference
from tests.conftest import TODAY
from tests.support import model
from tests.support.mail import CLOSE, HANG, MailServer, mail_server
from tests.support.nights import run_night
from tests.support.real_roster import as_model, load, real_roster

pytestmark = pytest.mark.django_db

HALF_PAST_MIDNIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
EIGHT = datetime(2026, 11, 21, 7, tzinfo=UTC)
LANGUAGES = ("nb", "nn", "en")

# What a subject says in each language, as its readers would: nothing of this comes from the catalogues.
REMINDED = {"nb": "går ut", "nn": "går ut", "en": "expire"}
PAUSED = {"nb": "satt på pause", "nn": "sett på pause", "en": "paused"}
DAYS = {"nb": "om {} dag", "nn": "om {} dag", "en": "in {} day"}


@pytest.fixture
def post(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 1
        settings.PUBLIC_URL = "https://nattevakt.example"
        yield server


@pytest.fixture
def night(hlf: Organisation) -> list[model.Due]:
    """The roster, a coordinator in each chapter, one language after the other, and the night; returns what it did."""
    roster = real_roster()
    load(roster, hlf)
    for number, chapter in enumerate(Chapter.objects.order_by("pk")):
        user = User.objects.create_user(f"c{number}", email=f"c{number}@coordinator.example", first_name="Kari")
        CoordinatorRole.objects.create(user=user, organisation=hlf, chapter=chapter)
        Preference.objects.create(user=user, language=LANGUAGES[number % 3])
    run = run_night(hlf, TODAY, now=HALF_PAST_MIDNIGHT, approved=True)
    assert run.status == Run.Status.SUCCEEDED
    return list(as_model(roster).due(TODAY))


def deliver(now: datetime) -> None:
    deliver_all(now=lambda: now, recheck_messages=recheck_messages)


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return " ".join(str(body.get_content()).split())


def told(done: list[model.Due]) -> dict[str, list[model.Due]]:
    """Return what each mentor is to be told, by ref: a pause, or else the reminders (rule 12)."""
    by_mentor: dict[str, list[model.Due]] = defaultdict(list)
    for item in done:
        by_mentor[item.mentor_ref].append(item)
    return {ref: [item for item in items if item.action == "pause"] or items for ref, items in by_mentor.items()}


def assert_says(mail: EmailMessage, items: list[model.Due], mentor: Mentor) -> None:
    language, text = mentor.language, text_of(mail)
    assert mail["Content-Language"] == language
    assert mentor.name.split()[0] in text
    for item in items:
        assert item.type.split(",")[0] in text
        if item.action == "pause":
            assert PAUSED[language] in f"{mail['Subject']} {text}".lower()
        else:
            assert item.expires_on is not None
            with translation.override(language):
                assert date_format(item.expires_on, "DATE_FORMAT") in text
            assert REMINDED[language] in str(mail["Subject"])
            days = (item.expires_on - TODAY).days
            assert days < 2 or DAYS[language].format(days) in text


def test_exactly_the_right_messages_leave_at_eight_in_the_right_languages(
    night: list[model.Due], post: MailServer
) -> None:
    deliver(HALF_PAST_MIDNIGHT)
    at_night = len(post.received)

    deliver(EIGHT)

    expected = told(night)
    mentors = {mentor.email: mentor for mentor in Mentor.objects.filter(ref__in=expected)}
    coordinators = {user.email: user for user in User.objects.filter(roles__chapter__mentors__ref__in=expected)}
    assert at_night == 0
    assert len(mentors) == len(expected) > 200
    assert sorted(mail["To"] for mail in post.received) == sorted([*mentors, *coordinators])
    for mail in post.received:
        if mail["To"] in mentors:
            mentor = mentors[mail["To"]]
            assert_says(mail, expected[mentor.ref], mentor)
        else:
            assert_sums_up(mail, coordinators[mail["To"]], night)
    print("left at eight:", len(post.received), "by language:", {
        language: sum(mail["Content-Language"] == language for mail in post.received) for language in LANGUAGES
    })  # fmt: skip


def assert_sums_up(mail: EmailMessage, user: User, night: list[model.Due]) -> None:
    """The summary names whoever of the chapter something happened to, and nobody else."""
    refs = {item.mentor_ref for item in night}
    text = text_of(mail)
    chapter = user.roles.get().chapter
    assert mail["Content-Language"] == user.preference.language
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for mentor in Mentor.objects.filter(chapter=chapter, ref__in=refs):
        assert mentor.name in text


def test_with_a_server_that_fails_in_every_way_all_that_can_arrive_arrives_once(
    night: list[model.Due], post: MailServer
) -> None:
    Organisation.objects.update(sending_from=time(0), sending_until=time(0))
    paused = set(Mentor.objects.filter(status="paused").values_list("pk", flat=True))
    refused = Notification.objects.filter(channel="email", recipient_mentor__isnull=False).earliest("pk")
    nobody_there = refused.recipient_mentor.email  # type: ignore[union-attr]
    dice, hangs = random.Random(849), iter([17, 170])
    next_hang = next(hangs)

    def fail(address: str) -> str | None:
        nonlocal next_hang
        if len(post.offered) >= next_hang:
            next_hang = next(hangs, 10**9)
            return HANG
        if len(post.offered) % 40 == 0:
            return CLOSE
        return "451 4.3.0 try again" if dice.random() < 0.3 else None

    post.after_data = fail
    post.at_rcpt = lambda address: "550 5.1.1 no such user" if address == nobody_there else None

    now, rounds = EIGHT, 0
    while Notification.objects.filter(status__in=["queued", "sending"]).exists():
        deliver(now)
        now, rounds = now + timedelta(minutes=5), rounds + 1
        assert rounds < 100

    mails = Notification.objects.filter(channel="email")
    arrived = [mail["Message-ID"] for mail in post.received]
    sent = set(mails.filter(status="sent").values_list("message_id", flat=True))
    assert sorted(arrived) == sorted(sent)
    dead = mails.exclude(status="sent")
    assert [(row.status, str(row.error)) for row in dead] == [("failed", "550 5.1.1 no such user")]
    assert list(BadAddress.objects.values_list("address", flat=True)) == [nobody_there]
    assert Notification.objects.filter(kind="bounced", about=refused.recipient_mentor).exists()
    assert set(Mentor.objects.filter(status="paused").values_list("pk", flat=True)) == paused
    print(f"{len(arrived)} arrived once in {len(post.offered)} attempts over {post.connections} connections")
