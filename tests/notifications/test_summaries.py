"""Who gets which summary, and that nothing is in two, or in none."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from certifications.mentor_status import pause_mentor
from cronjobs import nightly
from cronjobs.work import work_batch
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.answers import record_answer
from notifications.models import Answer, Notification, Preference
from tests.conftest import Certify, Enrol
from tests.support.nights import noon, plan_night, run_night, work_night

pytestmark = pytest.mark.django_db

Kind = Notification.Kind


@pytest.fixture
def expired(enrol: Enrol, certify: Certify) -> list[Mentor]:
    """Three mentors whom the night pauses."""
    mentors = [enrol() for _ in range(3)]
    for mentor in mentors:
        certify(mentor, expires_in=-1)
    return mentors


def wants(user: User, mail: Preference.Mail, **more: Any) -> None:
    Preference.objects.update_or_create(user=user, defaults={"mail": mail, **more})


def mails_to(user: User) -> Counter[str]:
    rows = Notification.objects.filter(recipient_user=user).exclude(channel="inbox")
    return Counter(rows.values_list("kind", flat=True))


def told_in(summary: Notification) -> list[str]:
    return sorted(summary.told.exclude(about=None).values_list("about__ref", flat=True))


def refs(*mentors: Mentor) -> list[str]:
    return sorted(mentor.ref for mentor in mentors)


class TestChoice:
    def test_without_a_choice_it_is_as_the_organisation_chose(
        self, hlf: Organisation, kari: User, expired: list[Mentor], today: date
    ) -> None:
        run_night(hlf, today)

        assert mails_to(kari) == {Kind.DIGEST: 1}

    def test_each_thing_by_itself(self, hlf: Organisation, kari: User, expired: list[Mentor], today: date) -> None:
        wants(kari, Preference.Mail.EACH)

        run_night(hlf, today)

        assert mails_to(kari) == {Kind.PAUSE: 3, Kind.HANDOVER: 1}

    def test_nothing_but_the_inbox(self, hlf: Organisation, kari: User, expired: list[Mentor], today: date) -> None:
        wants(kari, Preference.Mail.NEVER)

        run_night(hlf, today)

        assert mails_to(kari) == {}
        assert Notification.objects.filter(recipient_user=kari, channel="inbox", kind=Kind.PAUSE).count() == 3

    def test_a_held_run_is_told_to_whoever_must_decide_whatever_the_choice(
        self, hlf: Organisation, olav: User, expired: list[Mentor], today: date
    ) -> None:
        Organisation.objects.update(brake_minimum=0, brake_percent=0)
        hlf.refresh_from_db()
        wants(olav, Preference.Mail.NEVER)

        run_night(hlf, today)

        assert mails_to(olav) == {Kind.HELD: 1}

    def test_it_comes_in_the_language_and_by_the_channel_of_choice(
        self, hlf: Organisation, kari: User, expired: list[Mentor], today: date, settings: Any
    ) -> None:
        settings.CHAT_URL = "json://chat.example/{to}"
        wants(kari, Preference.Mail.DIGEST, channel="chat", address="@kari", language="nn")

        run_night(hlf, today)

        summary = Notification.objects.get(recipient_user=kari, kind=Kind.DIGEST)
        assert (summary.channel, summary.language) == ("chat", "nn")


class TestDigest:
    def test_a_coordinator_of_40_paused_mentors_gets_one(
        self, hlf: Organisation, kari: User, enrol: Enrol, certify: Certify, today: date
    ) -> None:
        for _ in range(40):  # more than there are subtasks
            certify(enrol(email=""), expires_in=-1)

        run_night(hlf, today, approved=True)

        (summary,) = Notification.objects.filter(recipient_user=kari).exclude(channel="inbox")
        assert (summary.kind, summary.told.filter(kind=Kind.PAUSE).count()) == (Kind.DIGEST, 40)

    def test_it_holds_what_happened_by_day_as_well(
        self,
        hlf: Organisation,
        kari: User,
        olav: User,
        mentor: Mentor,
        expired: list[Mentor],
        today: date,
        now: datetime,
    ) -> None:
        pause_mentor(mentor, reason="ill", actor=olav, now=now)

        run_night(hlf, today)

        assert told_in(Notification.objects.get(recipient_user=kari, kind=Kind.DIGEST)) == refs(mentor, *expired)

    def test_what_was_told_is_not_told_again(
        self, hlf: Organisation, kari: User, mentor: Mentor, certify: Certify, expired: list[Mentor], today: date
    ) -> None:
        run_night(hlf, today)
        certify(mentor, expires_in=-1)

        run_night(hlf, today + timedelta(days=1))

        summaries = Notification.objects.filter(recipient_user=kari, kind=Kind.DIGEST).order_by("pk")
        assert [told_in(summary) for summary in summaries] == [refs(*expired), refs(mentor)]

    @pytest.mark.parametrize("later", [Preference.Mail.DIGEST, Preference.Mail.WEEKLY])
    def test_what_was_told_by_itself_is_in_no_summary_after_a_change_of_mind(
        self, hlf: Organisation, kari: User, expired: list[Mentor], today: date, later: Preference.Mail
    ) -> None:
        wants(kari, Preference.Mail.EACH)
        run_night(hlf, today)
        wants(kari, later)

        run_night(hlf, today + timedelta(days=7))

        assert mails_to(kari) == {Kind.PAUSE: 3, Kind.HANDOVER: 1}

    def test_a_call_for_help_is_told_at_once_and_not_once_more(
        self, hlf: Organisation, kari: User, mentor: Mentor, certify: Certify, today: date, now: datetime
    ) -> None:
        certify(mentor, expires_in=7)
        run_night(hlf, today)
        reminder = Notification.objects.get(recipient_mentor=mentor)
        for choice in (Answer.Choice.HELP, Answer.Choice.RENEWING):
            record_answer(reminder, choice, now=now)

        run_night(hlf, today + timedelta(days=1))

        answers = Notification.objects.filter(recipient_user=kari, kind=Kind.ANSWER)
        assert mails_to(kari)[Kind.ANSWER] == 1
        assert set(answers.exclude(digest=None).values_list("context__answer", flat=True)) == {"renewing"}

    def test_a_quiet_night_has_none(self, hlf: Organisation, kari: User, today: date) -> None:
        run_night(hlf, today)

        assert mails_to(kari) == {}

    def test_closing_twice_writes_one(self, hlf: Organisation, kari: User, expired: list[Mentor], today: date) -> None:
        run = plan_night(hlf, today)
        work_night(run)
        work_night(run)

        assert mails_to(kari) == {Kind.DIGEST: 1}

    def test_a_coordinator_who_left_meanwhile_gets_none(
        self, hlf: Organisation, kari: User, expired: list[Mentor], today: date
    ) -> None:
        run = plan_night(hlf, today)
        for batch in nightly.batches(run, now=noon(today)):
            work_batch(run_id=run.pk, batch=batch, now=noon(today))
        CoordinatorRole.objects.all().delete()

        closed = nightly.close_run(run.pk, now=noon(today))

        assert (closed, mails_to(kari)) == (True, {})
        assert Notification.objects.filter(recipient_user=kari, channel="inbox").exists()

    def test_two_organisations_of_one_coordinator_are_kept_apart(
        self, hlf: Organisation, kari: User, elsewhere: Chapter, expired: list[Mentor], today: date
    ) -> None:
        CoordinatorRole.objects.create(user=kari, organisation=elsewhere.organisation, chapter=elsewhere)
        other = Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="X1", name="X")
        pause_mentor(other, reason="ill", actor=kari, now=noon(today))

        run_night(hlf, today)

        summary = Notification.objects.get(recipient_user=kari, kind=Kind.DIGEST)
        assert told_in(summary) == refs(*expired)


class TestWeekly:
    def test_it_comes_once_a_week_and_holds_the_week(
        self, hlf: Organisation, kari: User, enrol: Enrol, certify: Certify
    ) -> None:
        wants(kari, Preference.Mail.WEEKLY)
        monday = date(2026, 11, 23)
        for day in range(9):
            certify(enrol(), expires_in=(monday - date(2026, 11, 21)).days + day - 1)
            run_night(hlf, monday + timedelta(days=day))

        summaries = Notification.objects.filter(recipient_user=kari).exclude(channel="inbox").order_by("pk")
        assert [summary.kind for summary in summaries] == [Kind.WEEKLY, Kind.WEEKLY]
        paused = [sorted(set(told_in(summary))) for summary in summaries]
        assert paused == [["M1"], [f"M{number}" for number in range(2, 9)]]

    def test_a_missed_monday_is_made_up_on_tuesday(self, hlf: Organisation, kari: User, expired: list[Mentor]) -> None:
        wants(kari, Preference.Mail.WEEKLY)

        run_night(hlf, date(2026, 11, 24))

        assert mails_to(kari) == {Kind.WEEKLY: 1}


class TestHandover:
    def test_it_says_once_a_run_who_of_a_chapter_is_paused(
        self, hlf: Organisation, kari: User, expired: list[Mentor], today: date
    ) -> None:
        run_night(hlf, today)

        (hint,) = Notification.objects.filter(kind=Kind.HANDOVER)
        assert (hint.channel, hint.recipient_user) == ("inbox", kari)
        assert sorted(hint.context["paused"]) == sorted(mentor.pk for mentor in expired)

    def test_a_pause_by_a_person_has_its_own(self, kari: User, olav: User, mentor: Mentor, now: datetime) -> None:
        pause_mentor(mentor, reason="ill", actor=olav, now=now)

        (hint,) = Notification.objects.filter(kind=Kind.HANDOVER)
        assert hint.context["paused"] == [mentor.pk]


def test_an_organisation_without_coordinators_has_one_warning_for_operations(
    hlf: Organisation, expired: list[Mentor], today: date
) -> None:
    run_night(hlf, today)

    (warning,) = Notification.objects.filter(recipient_mentor=None)
    assert (warning.kind, warning.channel) == (Kind.NO_COORDINATOR, "operations")
