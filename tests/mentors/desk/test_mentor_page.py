"""A mentor's page at the desk: how things stand, and why they came so."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.mentor_status import pause_mentor
from certifications.models import CertificationType
from certifications.recording import renew_certification
from cronjobs import record_text
from cronjobs.models import Action, Run, RunItem
from mentors.models import Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.models import Answer, Notification
from tests.conftest import NOW, Certify, Desk
from tests.support.desk import page, text

pytestmark = pytest.mark.django_db


class TestPage:
    def test_it_says_how_things_stand_and_why(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify, secrecy: CertificationType, now: datetime
    ) -> None:
        certify(mentor, expires_in=12)
        certify(mentor, number="R1", revoked_at=now, revoked_reason="Forged")
        pause_mentor(mentor, reason="On leave until May", actor=kari, now=now)

        said = text(desk(kari).get(page(mentor)))

        for words in (
            "since 21 Nov 2026: paused by a person", "On leave until May", "Never held:</strong> Taushet",
            "expires soon", "12 days left", "Forged", "Paused by kari.",
        ):  # fmt: skip
            assert words in said, words

    def test_its_timeline_tells_of_reminders_with_the_rule_messages_and_answers(
        self, desk: Desk, kari: User, hlf: Organisation, mentor: Mentor, certify: Certify, now: datetime, today: date
    ) -> None:
        certification = certify(mentor, expires_in=7, number="A1")
        run = Run.objects.create(
            organisation=hlf, business_date=today, trigger="manual", actions=["remind"], status="succeeded",
            created_at=now, started_at=now, finished_at=now, code_version="test",
        )  # fmt: skip
        item = {
            "run": run, "action": Action.REMIND, "mentor": mentor, "at": now, "certification": certification,
            "type": "likepersonkurs", "number": "A1", "expires_on": certification.expires_on, "stage": 7,
        }  # fmt: skip
        RunItem.objects.create(dedupe_key="1", status="done", outcome=record_text.REMINDED(), **item)
        RunItem.objects.create(dedupe_key="2", status="skipped", outcome=record_text.CHANGED(), **item)
        told = Notification.objects.create(
            dedupe_key="1", organisation=hlf, kind="night", channel="email", status="failed",
            error=verbatim("550 unknown"), recipient_mentor=mentor, about=mentor, language="nb", created_at=now,
        )  # fmt: skip
        Answer.objects.create(notification=told, mentor=mentor, choice="help", at=now)

        said = text(desk(kari).get(page(mentor)))

        for words in (
            "Reminded of Kurs A1, which expires on 28 Nov 2026.",
            "Rule 6: reminded 30, 14 and 7 days before the expiry, once each.",
            "Not reminded of Kurs A1",
            "Renewed, changed or revoked in between, or a later reminder is due by now.",
            "Rule 8:",
            "Message to the mentor",
            "Not delivered.",
            "550 unknown",
            "The mentor answered: “I need help”.",
            reverse("admin:cronjobs_run_change", args=[run.pk]),
        ):
            assert words in said, words

    def test_a_long_timeline_goes_on_on_pages_of_its_own(
        self, desk: Desk, kari: User, mentor: Mentor, now: datetime
    ) -> None:
        StatusChange.objects.bulk_create(
            StatusChange(
                mentor=mentor, from_status="active", to_status="paused", cause="manual",
                reason=verbatim(f"No {number}."),
                actor=kari, at=now + timedelta(minutes=number),
            )
            for number in range(60)
        )  # fmt: skip

        first = text(desk(kari).get(page(mentor)))
        second = text(desk(kari).get(page(mentor, "timeline"), {"page": 2}))

        assert "No 59." in first
        assert "No 9." not in first
        assert page(mentor, "timeline") in first
        assert "No 9." in second
        assert "Page 2 of 2" in second

    def test_it_takes_at_most_twelve_queries_however_much_there_is(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify, secrecy: CertificationType, now: datetime
    ) -> None:
        client = desk(kari)
        exemption = {"type": secrecy, "from_on": NOW.date(), "until_on": NOW.date(), "reason": "x", "approved_by": kari}

        def ask(count: int) -> int:
            for number in range(count):
                one = certify(mentor, expires_in=number)
                renew_certification(one, issued_on=NOW.date() - timedelta(days=number + 1), now=now, actor=kari)
                mentor.exemptions.create(**exemption)
            with CaptureQueriesContext(connection) as asked:
                assert client.get(page(mentor)).status_code == 200
            return len(asked)

        ask(1)  # which fills what a process remembers
        few = ask(9)

        assert ask(30) <= few <= 12
