"""Rule 8, sent and read: a message says to its reader only what the roles of today reach, and only what is still so."""

from __future__ import annotations

from typing import Any

import pytest

from certifications.mentor_status import pause_mentor, reactivate_mentor
from certifications.recording import revoke_certification
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.models import Notification
from tests.conftest import NOW, TODAY, Api, Certify, Enrol
from tests.support.delivery import deliver, fate, to_the_mentor
from tests.support.nights import run_night
from tests.support.rules import configure

pytestmark = pytest.mark.django_db

NO_ROLE = "The recipient has no role any more that lets them know it."
URL = "/api/v1/notifications"


def leave(user: User, **role: Any) -> None:
    CoordinatorRole.objects.filter(user=user, **role).delete()


@pytest.fixture
def night(hlf: Organisation, kari: User, mentor: Mentor, certify: Certify) -> Organisation:
    """A night that has paused Kari's mentor, and whose messages wait."""
    certify(mentor, expires_in=-1)
    run_night(hlf, TODAY, now=NOW)
    return hlf


class TestSent:
    def test_a_coordinator_whose_role_has_ended_gets_no_digest(
        self, night: Organisation, kari: User, mailoutbox: list[Any]
    ) -> None:
        leave(kari)

        deliver()

        assert [message.to for message in mailoutbox] == [["liv@example.org"]]
        assert fate(Notification.objects.get(kind="digest")) == ("cancelled", NO_ROLE)

    def test_a_coordinator_whose_account_is_closed_gets_no_digest(
        self, night: Organisation, kari: User, mailoutbox: list[Any]
    ) -> None:
        User.objects.update(is_active=False)

        deliver()

        assert [message.to for message in mailoutbox] == [["liv@example.org"]]
        assert fate(Notification.objects.get(kind="digest")) == ("cancelled", "The recipient's account is closed.")

    def test_a_digest_loses_the_lines_that_its_reader_may_no_longer_see(
        self,
        hlf: Organisation,
        kari: User,
        bergen: Chapter,
        mentor: Mentor,
        bergenser: Mentor,
        certify: Certify,
        mailoutbox: list[Any],
    ) -> None:
        CoordinatorRole.objects.create(user=kari, organisation=hlf, chapter=bergen)
        certify(mentor, expires_in=-1)
        certify(bergenser, expires_in=-1)
        run_night(hlf, TODAY, now=NOW)
        leave(kari, chapter=bergen)

        deliver()

        (digest,) = [message for message in mailoutbox if message.to == ["kari@example.org"]]
        assert "Liv Moe" in digest.body
        assert "Bergljot" not in digest.body
        assert "Bergen" not in digest.body

    def test_a_mentor_who_has_moved_is_not_told_of_to_the_coordinator_of_before(
        self, hlf: Organisation, kari: User, bergen: Chapter, mentor: Mentor, certify: Certify
    ) -> None:
        configure(hlf, coordinator_mail="each")
        certify(mentor, expires_in=-1)
        run_night(hlf, TODAY, now=NOW)
        Mentor.objects.update(chapter=bergen)

        deliver()

        to_kari = Notification.objects.filter(recipient_user=kari, channel="email")
        assert {fate(row) for row in to_kari} == {("cancelled", NO_ROLE)}
        assert to_kari.exists()

    def test_what_is_for_those_who_lead_is_not_sent_to_who_leads_no_more(
        self, hlf: Organisation, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        configure(hlf, brake_minimum=0, brake_percent=0)
        certify(enrol(email=""), expires_in=-1)
        run_night(hlf, TODAY, now=NOW)
        leave(olav)

        deliver()

        assert fate(Notification.objects.get(kind="held", channel="email")) == ("cancelled", NO_ROLE)

    def test_who_was_made_a_coordinator_again_gets_it(
        self, night: Organisation, kari: User, mailoutbox: list[Any]
    ) -> None:
        leave(kari)
        CoordinatorRole.objects.create(user=kari, organisation=night)

        deliver()

        assert ["kari@example.org"] in [message.to for message in mailoutbox]

    def test_a_pause_is_told_once_it_is_another_one_only_as_the_other_one(
        self, night: Organisation, mentor: Mentor, kari: User, olav: User, certify: Certify, mailoutbox: list[Any]
    ) -> None:
        told_by_night = to_the_mentor()
        reactivate_mentor(mentor, reason="exempt", actor=olav, now=NOW, exempt_until=TODAY)
        pause_mentor(mentor, reason="ill", actor=kari, now=NOW)

        deliver()

        assert fate(told_by_night)[0] == "cancelled"
        to_her = Notification.objects.filter(recipient_mentor=mentor, status="sent")
        assert len(to_her) == 1
        assert [message.to for message in mailoutbox].count(["liv@example.org"]) == 1

    def test_the_news_of_a_pause_by_the_night_is_not_sent_once_it_is_due_to_a_revocation(
        self, night: Organisation, mentor: Mentor, kari: User
    ) -> None:
        told_by_night = to_the_mentor()
        revoke_certification(mentor.certifications.get(), reason="forged", actor=kari, now=NOW)

        deliver()

        assert fate(told_by_night)[0] == "cancelled"

    def test_a_mentor_whom_a_person_has_paused_meanwhile_gets_no_reminder_and_her_coordinator_does(
        self, hlf: Organisation, mentor: Mentor, kari: User, certify: Certify, mailoutbox: list[Any]
    ) -> None:
        certify(mentor, expires_in=7)
        run_night(hlf, TODAY, now=NOW)
        reminder = to_the_mentor()
        pause_mentor(mentor, reason="ill", actor=kari, now=NOW)

        deliver()

        assert fate(reminder)[0] == "cancelled"
        (digest,) = [message for message in mailoutbox if message.to == ["kari@example.org"]]
        assert "Liv Moe" in digest.body


class TestRead:
    def test_the_inbox_of_who_has_left_is_empty_and_counts_nothing(
        self, night: Organisation, kari: User, api: Api
    ) -> None:
        told = Notification.objects.filter(recipient_user=kari, channel="inbox", kind="pause").get()
        assert api(kari).get(f"{URL}/unread-count").json() == {"unread": 2}
        leave(kari)

        client = api(kari)

        assert client.get(URL).json()["results"] == []
        assert client.get(f"{URL}/unread-count").json() == {"unread": 0}
        assert client.get(f"{URL}/{told.pk}").status_code == 404
        assert client.post(f"{URL}/{told.pk}/read").status_code == 404

    def test_stand_ins_are_named_of_chapters_that_the_reader_looks_after_today(
        self, night: Organisation, kari: User, bergen: Chapter, mentor: Mentor, enrol: Enrol, certify: Certify, api: Api
    ) -> None:
        certify(enrol(chapter=bergen, name="New Person"), expires_in=300)
        CoordinatorRole.objects.filter(user=kari).update(chapter=bergen)

        assert api(kari).get(URL).json()["results"] == []

    def test_a_hint_does_not_name_who_has_moved_to_a_chapter_of_others(
        self, hlf: Organisation, kari: User, bergen: Chapter, enrol: Enrol, certify: Certify, api: Api
    ) -> None:
        stays, moves = enrol(name="Anna Berg"), enrol(name="Odd Lie")
        certify(stays, expires_in=-1)
        certify(moves, expires_in=-1)
        run_night(hlf, TODAY, now=NOW)
        Mentor.objects.filter(pk=moves.pk).update(chapter=bergen)

        shown = str(api(kari).get(URL).json()["results"])

        assert "Anna Berg" in shown
        assert "Odd Lie" not in shown

    def test_who_leads_sees_all_of_her_own(self, night: Organisation, kari: User, api: Api) -> None:
        before = len(api(kari).get(URL).json()["results"])
        CoordinatorRole.objects.filter(user=kari).update(chapter=None)

        assert len(api(kari).get(URL).json()["results"]) == before == 2
