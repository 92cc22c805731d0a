"""Who is told what by the night, and when (docs/rules.md, rule 12)."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from certifications.models import CertificationType
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.delivery import deliver, to_the_mentor
from tests.support.nights import run_night
from tests.support.rules import PAUSED_AS_EXPIRED, configure, pause, paused_by_the_night, status


def told() -> list[tuple[str, str, str]]:
    """Return who is told what, as (recipient, channel, kind); hints who may take over are in test_summaries.py."""
    rows = Notification.objects.exclude(kind="handover").select_related("recipient_user", "recipient_mentor")
    recipients = [
        (
            row.recipient_user.username
            if row.recipient_user
            else row.recipient_mentor.ref
            if row.recipient_mentor
            else "operations",
            row.channel,
            row.kind,
        )
        for row in rows
    ]
    return sorted(recipients)


def test_a_pause_is_told_to_the_mentor_and_to_the_coordinator_of_the_chapter(
    hlf: Organisation, kari: User, olav: User, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("M0", "email", "night"), ("kari", "email", "digest"), ("kari", "inbox", "pause")]


def test_a_resume_is_told_to_the_mentor_and_to_the_coordinator_of_the_chapter(
    hlf: Organisation, kari: User, mentor: Mentor, certify: Certify
) -> None:
    paused_by_the_night(hlf, mentor, certify)
    certify(mentor, issued=0)
    Notification.objects.all().delete()

    run_night(hlf, TODAY)

    assert told() == [("M0", "email", "night"), ("kari", "email", "digest"), ("kari", "inbox", "resume")]


def test_an_organisation_may_want_an_e_mail_for_each_mentor_instead_of_a_digest(
    hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
) -> None:
    configure(hlf, coordinator_mail="each")
    for mentor in (enrol(email=""), enrol(email="")):
        certify(mentor, expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("kari", "email", "pause")] * 2 + [("kari", "inbox", "pause")] * 2


def test_a_coordinator_gets_one_digest_a_run_that_lists_what_was_told(
    hlf: Organisation, kari: User, enrol: Enrol, certify: Certify, mailoutbox: list[Any]
) -> None:
    for name in ("Anne", "Bo"):
        certify(enrol(name=name, email=""), expires_in=-1)
    run_night(hlf, TODAY, now=NOW)

    deliver()

    [message] = mailoutbox
    assert message.to == ["kari@example.org"]
    assert "Anne" in message.body
    assert "Bo" in message.body


def test_a_night_in_which_nothing_happened_is_told_to_nobody(hlf: Organisation, kari: User, mentor: Mentor) -> None:
    run_night(hlf, TODAY)

    assert told() == []


def test_a_chapter_without_a_coordinator_is_the_organisation_wide_coordinators_affair(
    hlf: Organisation, bergen: Chapter, kari: User, olav: User, enrol: Enrol, certify: Certify
) -> None:
    certify(enrol(chapter=bergen, email=""), expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("olav", "email", "digest"), ("olav", "inbox", "pause")]


def test_a_coordinator_who_has_left_counts_for_nothing(
    hlf: Organisation, kari: User, olav: User, enrol: Enrol, certify: Certify
) -> None:
    User.objects.filter(pk=kari.pk).update(is_active=False)
    certify(enrol(email=""), expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("olav", "email", "digest"), ("olav", "inbox", "pause")]


def test_with_no_coordinator_at_all_operations_are_warned_once_a_run(
    hlf: Organisation, enrol: Enrol, certify: Certify
) -> None:
    for mentor in (enrol(email=""), enrol(email="")):
        certify(mentor, expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("operations", "operations", "no_coordinator")]


def test_a_user_with_two_roles_is_told_once(
    hlf: Organisation, bergen: Chapter, kari: User, enrol: Enrol, certify: Certify
) -> None:
    CoordinatorRole.objects.create(user=kari, organisation=hlf)
    CoordinatorRole.objects.create(user=kari, organisation=hlf, chapter=bergen)
    certify(enrol(email=""), expires_in=-1)

    run_night(hlf, TODAY)

    assert told() == [("kari", "email", "digest"), ("kari", "inbox", "pause")]


def test_a_mentor_gets_one_message_for_all_that_is_due(
    hlf: Organisation, secrecy: CertificationType, sign_language: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=7)
    certify(mentor, type=secrecy, expires_in=14)
    certify(mentor, type=sign_language, expires_in=30)

    run_night(hlf, TODAY)

    events = to_the_mentor().context["events"]
    assert sorted(facts["stage"] for facts in events) == [7, 14, 30]


def test_a_paused_mentors_reminders_go_to_coordinators_only(
    hlf: Organisation, kari: User, mentor: Mentor, certify: Certify
) -> None:
    pause(mentor)
    certify(mentor, expires_in=7)

    run_night(hlf, TODAY)

    assert told() == [("kari", "email", "digest"), ("kari", "inbox", "remind")]


def test_a_mentor_paused_tonight_hears_of_the_pause_and_not_of_tonights_reminders(
    hlf: Organisation, kari: User, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, type=secrecy, expires_in=7)

    run_night(hlf, TODAY)

    assert [facts["kind"] for facts in to_the_mentor().context["events"]] == ["pause"]
    assert ("kari", "inbox", "remind") in told()


def test_a_mentor_without_an_e_mail_address_is_acted_on_and_the_coordinator_is_told(
    hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
) -> None:
    mentor = enrol(email="")
    certify(mentor, expires_in=-1)

    run_night(hlf, TODAY)

    assert status(mentor) == PAUSED_AS_EXPIRED
    assert told() == [("kari", "email", "digest"), ("kari", "inbox", "pause")]


def test_a_message_is_in_the_language_of_its_recipient(
    hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
) -> None:
    certify(enrol(language="en"), expires_in=-1)

    run_night(hlf, TODAY)

    assert to_the_mentor().language == "en"
    assert set(Notification.objects.filter(recipient_user=kari).values_list("language", flat=True)) == {"nb"}


def test_a_message_that_fails_undoes_no_pause(
    hlf: Organisation, mentor: Mentor, certify: Certify, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens there
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, now=NOW)

    deliver()

    message = to_the_mentor()
    assert status(mentor) == PAUSED_AS_EXPIRED
    assert (message.status, message.error.in_english()) == (Notification.Status.QUEUED, "ConnectionRefusedError")
    assert message.next_attempt_at is not None
    assert message.next_attempt_at > NOW


def test_night_work_is_done_at_night_and_told_when_the_sending_hours_open(
    hlf: Organisation, kari: User, mentor: Mentor, certify: Certify
) -> None:
    midnight = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 00:30 in Oslo
    certify(mentor, expires_in=-1)

    run_night(hlf, TODAY, now=midnight)

    leaves_at = set(Notification.objects.filter(channel="email").values_list("next_attempt_at", flat=True))
    assert status(mentor) == PAUSED_AS_EXPIRED
    assert leaves_at == {datetime(2026, 11, 21, 7, 0, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("sending_from", "sending_until", "now", "leaves_at"),
    [
        # Oslo is one hour ahead of UTC in winter, two in summer.
        (time(8), time(20), "2026-11-21T06:59", "2026-11-21T07:00"),
        (time(8), time(20), "2026-11-21T07:00", "2026-11-21T07:00"),
        (time(8), time(20), "2026-11-21T18:59", "2026-11-21T18:59"),
        (time(8), time(20), "2026-11-21T19:00", "2026-11-22T07:00"),
        (time(8), time(20), "2026-07-21T23:30", "2026-07-22T06:00"),
        # The nights of the clock changes: opening at eight by the new time.
        (time(8), time(20), "2026-03-28T23:30", "2026-03-29T06:00"),
        (time(8), time(20), "2026-10-24T22:30", "2026-10-25T07:00"),
        (time(2, 30), time(20), "2026-03-28T23:30", "2026-03-29T01:30"),
        # Across midnight, and at all hours.
        (time(22), time(6), "2026-11-21T12:00", "2026-11-21T21:00"),
        (time(22), time(6), "2026-11-21T23:30", "2026-11-21T23:30"),
        (time(22), time(6), "2026-11-21T05:00", "2026-11-21T21:00"),
        (time(0), time(0), "2026-11-21T02:00", "2026-11-21T02:00"),
    ],
)
def test_messages_leave_within_the_sending_hours_of_the_organisation(
    hlf: Organisation, sending_from: time, sending_until: time, now: str, leaves_at: str
) -> None:
    hlf.sending_from, hlf.sending_until = sending_from, sending_until

    moment = hlf.next_sending_time(datetime.fromisoformat(f"{now}+00:00"))

    assert moment.astimezone(UTC) == datetime.fromisoformat(f"{leaves_at}+00:00")


def test_operations_are_warned_at_any_hour(hlf: Organisation, enrol: Enrol, certify: Certify) -> None:
    midnight = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    certify(enrol(email=""), expires_in=-1)

    run_night(hlf, TODAY, now=midnight)

    assert Notification.objects.get().next_attempt_at == midnight
