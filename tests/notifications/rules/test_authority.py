"""Rule 8, sent and read: a message says to its reader only what the roles of today reach, and only what is still so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from certifications.mentor_status import pause_mentor, reactivate_mentor
from certifications.recording import revoke_certification
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.answers import record_answer
from notifications.models import Answer, Notification
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


def told(user: User) -> list[str]:
    """Return what the user's inbox tells."""
    return list(Notification.objects.filter(recipient_user=user, channel="inbox").values_list("kind", flat=True))


class TestToldInstead:
    """What was written for somebody who may not know it when it leaves is told to those who look after her by then."""

    @pytest.fixture
    def nina(self, night: Organisation, mentor: Mentor) -> User:
        """Looks after the mentor from now on."""
        nina = User.objects.create_user("nina", email="nina@example.org")
        CoordinatorRole.objects.create(user=nina, organisation=night, chapter=mentor.chapter)
        return nina

    def test_whoever_looks_after_the_mentor_when_a_digest_is_cancelled(
        self, night: Organisation, kari: User, nina: User, mailoutbox: list[Any]
    ) -> None:
        leave(kari)

        deliver()
        run_night(night, TODAY + timedelta(days=1), now=NOW + timedelta(days=1))
        deliver(NOW + timedelta(days=1))

        assert told(nina) == ["pause"]
        assert [message.to for message in mailoutbox].count(["nina@example.org"]) == 1

    def test_whoever_looks_after_her_in_the_chapter_that_she_moved_to(
        self, hlf: Organisation, kari: User, nina: User, bergen: Chapter, mentor: Mentor, enrol: Enrol, certify: Certify
    ) -> None:
        CoordinatorRole.objects.filter(user=nina).update(chapter=bergen)
        certify(enrol(), expires_in=-1)
        run_night(hlf, TODAY, now=NOW)  # so that the digest has somebody left to tell of
        Mentor.objects.filter(pk=mentor.pk).update(chapter=bergen)

        deliver()

        assert told(nina) == ["pause"]

    def test_nobody_is_told_twice(self, night: Organisation, kari: User, olav: User, nina: User) -> None:
        leave(kari)

        deliver()
        Notification.objects.filter(kind="digest").update(status="queued", next_attempt_at=NOW)
        deliver()

        assert told(nina) == ["pause"]
        assert told(olav) == []

    def test_operations_where_nobody_looks_after_her(self, night: Organisation, kari: User) -> None:
        leave(kari)

        deliver()

        assert Notification.objects.filter(kind="no_coordinator", channel="operations").exists()

    def test_what_is_no_longer_true_is_told_to_nobody(
        self, night: Organisation, kari: User, nina: User, mentor: Mentor, olav: User
    ) -> None:
        reactivate_mentor(mentor, reason="exempt", actor=olav, now=NOW, exempt_until=TODAY)
        leave(kari)

        deliver()

        assert "pause" not in told(nina)

    def test_that_a_mentor_needs_help_is_told_at_once(
        self, hlf: Organisation, kari: User, mentor: Mentor, certify: Certify
    ) -> None:
        certify(mentor, expires_in=7)
        run_night(hlf, TODAY, now=NOW)
        deliver()
        reminder = Notification.objects.get(recipient_mentor=mentor)
        late = NOW.replace(hour=22)
        record_answer(reminder, Answer.Choice.HELP, now=late)
        leave(kari)
        ida = User.objects.create_user("ida", email="ida@example.org")
        CoordinatorRole.objects.create(user=ida, organisation=hlf, chapter=mentor.chapter)

        deliver(late + timedelta(hours=12))

        by_mail = Notification.objects.get(kind="answer", recipient_user=ida, channel="email")
        assert fate(by_mail)[0] == "sent"


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
