"""What a mentor answers to a reminder: kept once, told to the coordinators, and no more reminders after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, transaction

from certifications.models import Certification
from mentors.models import Mentor, Organisation, User
from notifications.answers import find_answered, may_answer, record_answer
from notifications.models import Answer, Notification
from tests.conftest import TODAY, Certify
from tests.support.nights import run_night
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db

RENEWING, STOPPING, HELP = Answer.Choice.RENEWING, Answer.Choice.STOPPING, Answer.Choice.HELP


def told() -> list[tuple[str, str]]:
    """Return who was told of answers, as (user, channel)."""
    rows = Notification.objects.filter(kind=Notification.Kind.ANSWER).order_by("channel")
    return list(rows.values_list("recipient_user__username", "channel"))


@pytest.mark.parametrize(
    ("choice", "channels"),
    [(RENEWING, ["inbox"]), (STOPPING, ["email", "inbox"]), (HELP, ["email", "inbox"])],
)
def test_a_coordinator_is_told_at_once_of_what_needs_somebody_and_of_the_rest_in_the_inbox(
    reminder: Notification,
    mentor: Mentor,
    held: Certification,
    now: datetime,
    choice: Answer.Choice,
    channels: list[str],
) -> None:
    is_new = record_answer(reminder, choice, now=now)

    answer = Answer.objects.get()
    assert is_new
    assert (answer.notification, answer.mentor, answer.choice, answer.at) == (reminder, mentor, choice, now)
    assert told() == [("kari", channel) for channel in channels]
    row = Notification.objects.get(kind=Notification.Kind.ANSWER, channel="inbox")
    assert row.about == mentor
    assert row.context["answer"] == choice
    assert [facts["certification_id"] for facts in row.context["events"]] == [held.pk]


def test_the_same_answer_again_is_kept_and_told_once(reminder: Notification, now: datetime) -> None:
    record_answer(reminder, HELP, now=now)

    is_new = record_answer(reminder, HELP, now=now + timedelta(hours=1))

    assert not is_new
    assert Answer.objects.get().at == now
    assert len(told()) == 2


def test_another_answer_is_kept_beside_the_first(reminder: Notification, now: datetime) -> None:
    record_answer(reminder, RENEWING, now=now)

    record_answer(reminder, HELP, now=now)

    assert set(Answer.objects.values_list("choice", flat=True)) == {RENEWING, HELP}
    assert len(told()) == 3


def test_nothing_is_kept_when_the_coordinators_could_not_be_told(
    reminder: Notification, now: datetime, settings: Any
) -> None:
    settings.NOTIFICATION_SERVICE = "tests.notifications.test_answers.Broken"

    with pytest.raises(RuntimeError):
        record_answer(reminder, HELP, now=now)

    assert not Answer.objects.exists()


class Broken:
    def tell_coordinators(self, *_args: object, **_kwargs: object) -> None:
        raise RuntimeError


def test_only_a_mentor_answers(reminder: Notification, kari: User, now: datetime) -> None:
    to_kari = Notification.objects.filter(recipient_user=kari).first()
    assert to_kari

    with pytest.raises(ValueError, match="Only a mentor"):
        record_answer(to_kari, HELP, now=now)


@pytest.mark.parametrize(("status", "may"), [("active", True), ("paused", True), ("ended", False)])
def test_an_ended_mentor_has_nothing_to_answer(reminder: Notification, mentor: Mentor, status: str, may: bool) -> None:
    mentor.status, mentor.pause_cause = status, "manual" if status == "paused" else None
    mentor.save()
    reminder.refresh_from_db()

    assert may_answer(reminder) == may


@pytest.mark.parametrize(("choice", "ends"), [(RENEWING, True), (STOPPING, True), (HELP, False)])
def test_an_answer_ends_the_reminders_of_that_certification_and_that_expiry_unless_help_is_needed(
    reminder: Notification, mentor: Mentor, held: Certification, now: datetime, choice: Answer.Choice, ends: bool
) -> None:
    record_answer(reminder, choice, now=now)

    assert find_answered([mentor.pk]) == ({(held.pk, "2026-12-05")} if ends else set())
    assert find_answered([mentor.pk + 1]) == set()


def test_the_next_night_reminds_of_another_expiry_but_not_of_the_answered_one(
    hlf: Organisation, reminder: Notification, mentor: Mentor, held: Certification, certify: Certify, now: datetime
) -> None:
    record_answer(reminder, RENEWING, now=now)
    run_night(hlf, TODAY + timedelta(days=7))
    after_the_answer = Notification.objects.filter(recipient_mentor=mentor).count()
    held.expires_on = TODAY + timedelta(days=20)
    held.save()

    run_night(hlf, TODAY + timedelta(days=8))

    assert (after_the_answer, Notification.objects.filter(recipient_mentor=mentor).count()) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_who_answers_while_the_same_answer_is_not_committed_yet_waits_and_is_second(
    reminder: Notification, now: datetime
) -> None:
    results: list[bool] = []

    def answer() -> None:
        try:
            results.append(record_answer(reminder, STOPPING, now=now))
        finally:
            connection.close()

    second = Thread(target=answer)
    with transaction.atomic():
        first = record_answer(reminder, STOPPING, now=now)
        second.start()
        wait_until(somebody_waits_for_a_lock)
    second.join(timeout=60)

    assert (first, results) == (True, [False])
    assert Answer.objects.count() == 1
    assert told() == [("kari", "email"), ("kari", "inbox")]


@pytest.mark.django_db(transaction=True)
def test_of_six_who_answer_at_once_one_is_first(reminder: Notification, now: datetime) -> None:
    barrier = Barrier(6)
    results: list[bool] = []

    def answer() -> None:
        barrier.wait(timeout=60)
        try:
            results.append(record_answer(reminder, HELP, now=now))
        finally:
            connection.close()

    threads = [Thread(target=answer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(results) == [False] * 5 + [True]
    assert told() == [("kari", "email"), ("kari", "inbox")]


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None
