"""Rule 8: nothing is sent that is no longer true. What becomes of each item: tests/cronjobs/test_night_work.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certifications.models import CertificationType
from certifications.recording import change_certification
from cronjobs.models import RunItem
from mentors.models import Mentor, Organisation, User
from notifications.answers import record_answer
from notifications.models import Answer, Notification
from tests.conftest import NOW, TODAY, Certify
from tests.support.delivery import deliver, to_the_mentor
from tests.support.nights import noon, outcomes, run_night


def test_a_reminder_is_not_sent_when_the_mentor_has_renewed(
    hlf: Organisation, mentor: Mentor, certify: Certify, mailoutbox: list[Any]
) -> None:
    certify(mentor, expires_in=7)
    run_night(hlf, TODAY, now=NOW)
    certify(mentor, issued=0)

    deliver()

    assert to_the_mentor().status == Notification.Status.CANCELLED
    assert "No longer true" in to_the_mentor().error.in_english()
    assert "liv@example.org" not in [message.to[0] for message in mailoutbox]


def test_the_news_of_a_pause_is_not_sent_when_it_is_over(
    hlf: Organisation, mentor: Mentor, certify: Certify, mailoutbox: list[Any]
) -> None:
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, now=NOW)
    Mentor.objects.update(status="active", pause_cause=None)

    deliver()

    assert to_the_mentor().status == Notification.Status.CANCELLED


def test_a_message_says_only_what_is_still_true(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify, mailoutbox: list[Any]
) -> None:
    certify(mentor, expires_in=7)
    certify(mentor, type=secrecy, expires_in=7)
    run_night(hlf, TODAY, now=NOW)
    certify(mentor, issued=0)

    deliver()

    [body] = [message.body for message in mailoutbox if message.to == ["liv@example.org"]]
    assert "Taushet" in body
    assert "Kurs" not in body


def answer_the_reminder(choice: Answer.Choice) -> None:
    record_answer(to_the_mentor(), choice, now=NOW)


@pytest.mark.parametrize("choice", [Answer.Choice.RENEWING, Answer.Choice.STOPPING])
def test_a_mentor_who_has_answered_is_not_reminded_of_it_again_and_her_coordinator_is(
    hlf: Organisation, mentor: Mentor, certify: Certify, kari: User, choice: Answer.Choice
) -> None:
    certify(mentor, expires_in=14)
    run_night(hlf, TODAY)
    answer_the_reminder(choice)

    run = run_night(hlf, TODAY + timedelta(days=7))

    assert outcomes(run) == [("remind", "M0", "done", "answered")]
    told = Notification.objects.filter(run_id=run.pk, kind__in=["night", "remind"])
    assert [(row.recipient_user, row.channel) for row in told] == [(kari, "inbox")]


def test_a_mentor_who_needs_help_is_reminded_again(
    hlf: Organisation, mentor: Mentor, certify: Certify, kari: User
) -> None:
    certify(mentor, expires_in=14)
    run_night(hlf, TODAY)
    answer_the_reminder(Answer.Choice.HELP)

    run = run_night(hlf, TODAY + timedelta(days=7))

    assert Notification.objects.filter(run_id=run.pk, recipient_mentor=mentor).count() == 1


def test_an_answer_is_about_one_expiry(hlf: Organisation, mentor: Mentor, certify: Certify) -> None:
    certification = certify(mentor, expires_in=14)
    run_night(hlf, TODAY)
    answer_the_reminder(Answer.Choice.RENEWING)
    change_certification(certification, expires_on=TODAY + timedelta(days=100), now=NOW)

    run = run_night(hlf, TODAY + timedelta(days=90))

    assert Notification.objects.filter(run_id=run.pk, recipient_mentor=mentor).count() == 1


def test_a_reminder_that_waits_is_not_sent_to_whoever_answered_meanwhile(
    hlf: Organisation, mentor: Mentor, certify: Certify, mailoutbox: list[Any]
) -> None:
    certify(mentor, expires_in=14)
    run_night(hlf, TODAY, now=NOW)
    answered = to_the_mentor()
    run = run_night(hlf, TODAY + timedelta(days=7))
    record_answer(answered, Answer.Choice.RENEWING, now=NOW)

    deliver(noon(TODAY + timedelta(days=7)))

    assert Notification.objects.get(run_id=run.pk, recipient_mentor=mentor).status == Notification.Status.CANCELLED


def test_a_pause_says_only_what_had_lapsed_when_it_was_done(
    hlf: Organisation, secrecy: CertificationType, mentor: Mentor, certify: Certify
) -> None:
    certify(mentor, expires_in=-1)
    certify(mentor, type=secrecy, expires_in=-1)

    run_night(hlf, TODAY, in_between=lambda: certify(mentor, issued=0))

    assert RunItem.objects.get().type == "taushetserklaering"
    assert to_the_mentor().context["events"][0]["types"] == "taushetserklaering"
