"""Done means handed over: what nobody was told gives its key back, and says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certifications.models import Certification, CertificationType
from certifications.recording import change_certification
from cronjobs.models import Run, RunItem, Seal
from cronjobs.records.verification import check_chain
from cronjobs.release import release_unheard
from cronjobs.sweep import sweep
from mentors.models import Mentor, Organisation, User
from notifications.claims import free_stuck
from notifications.models import BadAddress, Notification, Preference
from tests.conftest import NOW, TODAY, Certify, Enrol
from tests.support.delivery import deliver, to_the_mentor
from tests.support.nights import outcomes, run_night
from tests.support.rules import pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def certification(mentor: Mentor, certify: Certify) -> Certification:
    return certify(mentor, expires_in=7)


def postpone(certification: Certification) -> None:
    change_certification(certification, expires_on=TODAY + timedelta(days=300), now=NOW)


def withdraw_the_postponement(certification: Certification) -> None:
    change_certification(certification, expires_on=TODAY + timedelta(days=7), now=NOW)


class TestCancelled:
    def test_a_reminder_that_was_cancelled_is_sent_when_it_is_true_again(
        self, hlf: Organisation, kari: User, certification: Certification, mailoutbox: list[Any]
    ) -> None:
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()
        assert to_the_mentor().status == "cancelled"
        withdraw_the_postponement(certification)

        again = run_night(hlf, TODAY, now=NOW)
        deliver()

        assert outcomes(again) == [("remind", "M0", "done", "reminded")]
        assert [message.to for message in mailoutbox].count(["liv@example.org"]) == 1

    def test_its_item_says_so_and_the_books_and_the_seals_agree(
        self, hlf: Organisation, kari: User, certification: Certification
    ) -> None:
        run = run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()

        sweep(now=NOW)

        run.refresh_from_db()
        assert outcomes(run) == [("remind", "M0", "skipped", "not_told")]
        assert run.counts["remind"] == {"planned": 1, "done": 0, "skipped": 1, "failed": 0}
        assert Seal.objects.filter(run_id=run.pk).count() == 2
        assert not check_chain(hlf).faults

    def test_a_coordinator_who_read_of_it_is_not_told_the_same_twice(
        self, hlf: Organisation, kari: User, certification: Certification
    ) -> None:
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()
        withdraw_the_postponement(certification)

        run_night(hlf, TODAY, now=NOW)

        assert Notification.objects.filter(recipient_user=kari, channel="inbox", kind="remind").count() == 1

    def test_a_coordinator_who_wants_each_by_mail_gets_it_when_it_is_true_again(
        self, hlf: Organisation, kari: User, mentor: Mentor, certification: Certification, mailoutbox: list[Any]
    ) -> None:
        Preference.objects.create(user=kari, mail="each")
        pause(mentor)  # whose reminders are for coordinators only
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()
        withdraw_the_postponement(certification)

        run_night(hlf, TODAY, now=NOW)
        deliver()

        reminders = Notification.objects.filter(recipient_user=kari, kind="remind")
        assert reminders.filter(channel="inbox").count() == 1
        assert list(reminders.filter(channel="email").order_by("pk").values_list("status", flat=True)) == [
            "cancelled",
            "sent",
        ]

    def test_a_mentor_who_was_told_is_not_told_again_for_a_coordinators_cancelled_mail(
        self, hlf: Organisation, kari: User, certification: Certification
    ) -> None:
        Preference.objects.create(user=kari, mail="each")
        run_night(hlf, TODAY, now=NOW)
        to_kari = Notification.objects.filter(recipient_user=kari, channel="email")
        to_kari.update(next_attempt_at=NOW + timedelta(days=1))
        deliver()
        postpone(certification)
        deliver(NOW + timedelta(days=1))
        assert to_kari.get(kind="remind").status == "cancelled"

        assert release_unheard(now=NOW) == 0

    def test_of_two_reminders_in_one_message_only_the_one_that_it_left_out_is_reminded_of_again(
        self,
        hlf: Organisation,
        kari: User,
        mentor: Mentor,
        certification: Certification,
        sign_language: CertificationType,
        certify: Certify,
        mailoutbox: list[Any],
    ) -> None:
        certify(mentor, type=sign_language, expires_in=7)
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()
        withdraw_the_postponement(certification)

        again = run_night(hlf, TODAY, now=NOW)
        deliver()

        assert RunItem.objects.filter(run=again).values_list("type", flat=True).get() == "likepersonkurs"
        bodies = [message.body for message in mailoutbox if message.to == ["liv@example.org"]]
        assert ["Tegnspråk" in body for body in bodies] == [True, False]
        assert ["Kurs" in body for body in bodies] == [False, True]

    def test_what_was_sent_keeps_its_key(self, hlf: Organisation, kari: User, certification: Certification) -> None:
        run_night(hlf, TODAY, now=NOW)
        deliver()

        assert release_unheard(now=NOW) == 0
        assert outcomes(run_night(hlf, TODAY, now=NOW)) == []

    def test_what_may_have_been_received_keeps_its_key(
        self, hlf: Organisation, certification: Certification, kari: User
    ) -> None:
        run_night(hlf, TODAY, now=NOW)
        Notification.objects.filter(pk=to_the_mentor().pk).update(in_doubt=True)
        postpone(certification)
        deliver()
        assert to_the_mentor().status == "uncertain"

        assert release_unheard(now=NOW) == 0

    def test_what_has_been_given_back_is_not_searched_again(
        self, hlf: Organisation, kari: User, certification: Certification
    ) -> None:
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()
        assert Notification.objects.exclude(left_out=[]).exists()

        release_unheard(now=NOW)

        assert not Notification.objects.exclude(left_out=[]).exists()

    def test_it_may_be_done_twice(self, hlf: Organisation, kari: User, certification: Certification) -> None:
        run_night(hlf, TODAY, now=NOW)
        postpone(certification)
        deliver()

        assert [release_unheard(now=NOW), release_unheard(now=NOW)] == [1, 0]


class TestFailed:
    @pytest.fixture
    def run(self, hlf: Organisation, certification: Certification) -> Run:
        return run_night(hlf, TODAY, now=NOW)

    def test_a_reminder_that_failed_is_sent_once_there_is_an_address_again(
        self, hlf: Organisation, run: Run, mailoutbox: list[Any]
    ) -> None:
        Mentor.objects.update(email="")
        deliver()
        assert to_the_mentor().status == "failed"
        sweep(now=NOW)
        Mentor.objects.update(email="liv@example.org")

        again = run_night(hlf, TODAY, now=NOW)
        deliver()

        assert outcomes(run) == [("remind", "M0", "skipped", "not_told")]
        assert outcomes(again) == [("remind", "M0", "done", "reminded")]
        assert ["liv@example.org"] in [message.to for message in mailoutbox]

    def test_so_is_one_to_an_address_that_is_marked_as_bad(self, run: Run) -> None:
        BadAddress.objects.create(channel="email", address="liv@example.org", reason="550", at=NOW)
        deliver()

        assert release_unheard(now=NOW) == 1

    def test_so_is_one_that_its_workers_lost(self, run: Run) -> None:
        Notification.objects.filter(pk=to_the_mentor().pk).update(status="sending", attempts=99, next_attempt_at=NOW)
        free_stuck(now=NOW)

        assert release_unheard(now=NOW) == 1

    def test_a_coordinator_who_was_told_is_enough(
        self, hlf: Organisation, kari: User, certification: Certification
    ) -> None:
        run_night(hlf, TODAY, now=NOW)
        Mentor.objects.update(email="")
        deliver()
        assert to_the_mentor().status == "failed"

        assert release_unheard(now=NOW) == 0


class TestNobody:
    def test_a_reminder_for_whom_nobody_has_an_address_is_not_done(
        self, hlf: Organisation, enrol: Enrol, certify: Certify
    ) -> None:
        certify(enrol(ref="M1", email=""), expires_in=7)

        run = run_night(hlf, TODAY, now=NOW)

        assert outcomes(run) == [("remind", "M1", "skipped", "nobody_to_tell")]
        assert run.status == "succeeded"

    def test_it_is_reminded_of_once_there_is_an_address(
        self, hlf: Organisation, enrol: Enrol, certify: Certify, mailoutbox: list[Any]
    ) -> None:
        mentor = enrol(email="")
        certify(mentor, expires_in=7)
        run_night(hlf, TODAY, now=NOW)
        Mentor.objects.update(email="liv@example.org")

        run_night(hlf, TODAY, now=NOW)
        deliver()

        assert ["liv@example.org"] in [message.to for message in mailoutbox]

    def test_a_paused_mentor_whom_nobody_looks_after_is_nobodys_reminder(
        self, hlf: Organisation, enrol: Enrol, certify: Certify
    ) -> None:
        certify(enrol(ref="M1", status="paused", pause_cause="manual"), expires_in=7)

        run = run_night(hlf, TODAY, now=NOW)

        assert outcomes(run) == [("remind", "M1", "skipped", "nobody_to_tell")]

    def test_a_coordinator_who_is_told_is_enough(
        self, hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
    ) -> None:
        certify(enrol(ref="M1", email=""), expires_in=7)

        assert outcomes(run_night(hlf, TODAY, now=NOW)) == [("remind", "M1", "done", "reminded")]
