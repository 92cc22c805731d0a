"""The page behind the links in a reminder: opened by anything that scans mail, acted on by a person."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from time_machine import Traveller

from certifications.models import Certification, CertificationType, Exemption
from mentors.models import Mentor, Organisation, User
from notifications.links import links_of
from notifications.models import Answer, Notification
from tests.conftest import NOW, TODAY, Certify
from tests.support.nights import run_night
from tests.support.pages import HELP, RENEWING, STOPPING, Path, everything, heading, text

pytestmark = pytest.mark.django_db


def forms(response: Any) -> list[str]:
    return re.findall(r'<form method="post" action="([^"]+)"', response.content.decode())


class TestAnswer:
    def test_without_a_choice_it_says_what_it_is_about_and_offers_all_three(self, client: Client, to: Path) -> None:
        page = client.get(to())

        assert page.status_code == 200
        assert heading(page) == "What is your answer?"
        assert "A reminder from HLF was about this: Kurs, expires on Dec. 5, 2026" in text(page)
        assert forms(page) == [to(RENEWING), to(STOPPING), to(HELP)]

    @pytest.mark.parametrize("choice", [RENEWING, STOPPING, HELP])
    def test_with_a_choice_it_asks_for_that_one_and_leads_to_the_others(
        self, client: Client, to: Path, choice: Answer.Choice
    ) -> None:
        page = client.get(to(choice))

        assert heading(page) == "Is this your answer?"
        assert f"Yes: {choice.label}" in text(page)
        assert forms(page) == [to(choice)]
        assert re.findall(r'<a href="([^"]+)"', page.content.decode()) == [
            to(other) for other in Answer.Choice if other != choice
        ]

    def test_opening_it_changes_nothing(self, client: Client, to: Path) -> None:
        before = everything()

        for path in (to(), to(RENEWING), to(STOPPING), to(HELP)):
            assert client.get(path).status_code == client.head(path).status_code == 200
            assert client.options(path).status_code == 405

        assert everything() == before

    def test_the_button_records_the_answer_and_leads_to_thanks_that_can_be_loaded_again(
        self, client: Client, to: Path, mentor: Mentor, now: datetime
    ) -> None:
        posted = client.post(to(HELP))
        before = everything()
        thanks = [client.get(posted["Location"]) for _ in range(2)]

        assert posted.status_code == 303
        assert [(answer.mentor, answer.choice, answer.at) for answer in Answer.objects.all()] == [(mentor, "help", now)]
        assert [heading(page) for page in thanks] == ["Thank you for your answer!"] * 2
        assert forms(thanks[0]) == []
        assert everything() == before

    @pytest.mark.parametrize(
        ("choice", "channels", "next"),
        [
            (RENEWING, {"inbox"}, "so that it is registered before Dec. 6, 2026. Otherwise you are paused"),
            (STOPPING, {"inbox", "email"}, "settles the rest with you. Your answer alone changes nothing."),
            (HELP, {"inbox", "email"}, "Your coordinator is told, and gets in touch with you."),
        ],
    )
    def test_the_thanks_say_what_happens_next_and_the_coordinator_is_told(
        self, client: Client, to: Path, choice: Answer.Choice, channels: set[str], next: str
    ) -> None:
        thanks = client.post(to(choice), follow=True)

        told = Notification.objects.filter(kind="answer", recipient_user__username="kari")
        assert set(told.values_list("channel", flat=True)) == channels
        assert next in text(thanks)
        assert ("You get no more reminders of this." in text(thanks)) == (choice != HELP)

    def test_a_second_time_does_nothing_twice(self, client: Client, to: Path) -> None:
        client.post(to(STOPPING))
        before = everything()

        again = client.post(to(STOPPING), follow=True)

        assert heading(again) == "Thank you for your answer!"
        assert everything() == before

    def test_another_answer_can_follow_and_the_page_says_what_was_answered(self, client: Client, to: Path) -> None:
        client.post(to(RENEWING))

        page = client.get(to())
        client.post(to(HELP))

        assert "You have answered this already: I am renewing." in text(page)
        assert len(forms(page)) == 3
        assert set(Answer.objects.values_list("choice", flat=True)) == {RENEWING, HELP}

    def test_without_a_choice_there_is_nothing_to_post(self, client: Client, to: Path) -> None:
        refused = client.post(to())

        assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")

    def test_of_an_optional_type_nobody_is_paused(self, client: Client, to: Path, course: CertificationType) -> None:
        course.required = False
        course.save()

        thanks = text(client.post(to(RENEWING), follow=True))

        assert "paused" not in thanks
        assert "Send the new certification to your coordinator as soon as you have it." in thanks

    def test_nobody_is_threatened_with_a_pause_that_will_not_come(
        self, client: Client, to: Path, hlf: Organisation, mentor: Mentor, course: CertificationType, olav: User
    ) -> None:
        Exemption.objects.create(
            mentor=mentor, type=course, from_on=TODAY, until_on=TODAY + timedelta(days=60), approved_by=olav
        )
        exempt = text(client.post(to(RENEWING), follow=True))
        Exemption.objects.all().delete()
        hlf.auto_pause = False
        hlf.save()

        switched_off = text(client.get(to(RENEWING)))

        assert "paused" not in exempt + switched_off

    def test_only_what_still_waits_is_shown(
        self,
        client: Client,
        hlf: Organisation,
        mentor: Mentor,
        certify: Certify,
        kari: User,
        secrecy: CertificationType,
    ) -> None:
        certify(mentor, expires_in=14)
        certify(mentor, expires_in=20, type=secrecy)
        run_night(hlf, TODAY, now=NOW)
        path = urlsplit(links_of(Notification.objects.get(recipient_mentor=mentor)).answer).path
        both = text(client.get(path))
        certify(mentor, issued=0, type=secrecy)

        one = text(client.get(path))

        assert ("Kurs, expires" in both, "Taushet, expires" in both) == (True, True)
        assert ("Kurs, expires" in one, "Taushet" in one) == (True, False)

    @pytest.mark.parametrize("change", ["renewed", "revoked", "corrected"])
    def test_what_is_renewed_or_no_longer_due_asks_for_nothing(
        self,
        client: Client,
        to: Path,
        mentor: Mentor,
        held: Certification,
        certify: Certify,
        now: datetime,
        change: str,
    ) -> None:
        match change:
            case "renewed":
                certify(mentor, issued=0)
            case "revoked":
                Certification.objects.update(revoked_at=now)
            case _:
                Certification.objects.update(expires_on=TODAY + timedelta(days=300))
        before = everything()

        pages = [client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)]

        assert [(page.status_code, heading(page)) for page in pages] == [(200, "You need not do anything")] * 3
        assert [forms(page) for page in pages] == [[], [], []]
        assert "is no longer due. Thank you! Kurs" in text(pages[0])
        assert everything() == before

    def test_what_has_expired_meanwhile_can_still_be_answered(self, client: Client, to: Path, clock: Traveller) -> None:
        clock.shift(timedelta(days=20))

        page = client.get(to())
        thanks = client.post(to(RENEWING), follow=True)

        assert "Kurs, expired on Dec. 5, 2026" in text(page)
        assert len(forms(page)) == 3
        assert "as soon as you have it" in text(thanks)
        assert Answer.objects.get().choice == RENEWING

    def test_an_ended_mentor_is_asked_for_nothing(self, client: Client, to: Path, mentor: Mentor) -> None:
        mentor.status = Mentor.Status.ENDED
        mentor.save()

        pages = [client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)]

        assert [(page.status_code, heading(page)) for page in pages] == [(200, "You need not do anything")] * 3
        assert "no longer a peer mentor in HLF" in text(pages[0])
        assert [forms(page) for page in pages] == [[], [], []]
        assert not Answer.objects.exists()

    @pytest.mark.parametrize(
        ("language", "month", "answer"),
        [
            ("nb", "5. desember 2026", "Jeg fornyer"),
            ("nn", "5. desember 2026", "Eg fornyar"),
            ("en", "Dec. 5, 2026", "I am renewing"),
        ],
    )
    def test_it_speaks_the_language_of_the_mentor_not_of_the_browser(
        self, client: Client, to: Path, mentor: Mentor, language: str, month: str, answer: str
    ) -> None:
        mentor.language = language
        mentor.save()

        page = client.get(to(RENEWING), headers={"Accept-Language": "nb" if language == "en" else "en"})

        assert page["Content-Language"] == language
        assert f'<html lang="{language}">' in page.content.decode()
        assert month in text(page)
        assert answer in text(page)

    def test_names_are_text(self, client: Client, to: Path, hlf: Organisation, course: CertificationType) -> None:
        hlf.name = course.name = "<script>alert(1)</script>"
        hlf.save()
        course.save()

        for page in (client.get(to()), client.get(to(HELP)), client.post(to(HELP), follow=True)):
            assert "<script" not in page.content.decode()
