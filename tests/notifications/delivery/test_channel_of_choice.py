"""By which channel a message goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from mentors.models import Mentor, Organisation, User
from notifications.channels import CHANNELS, EMAIL
from notifications.models import Notification, Preference
from tests.conftest import Certify, Enrol
from tests.support.delivery import Write, deliver, fate
from tests.support.mail import MailServer
from tests.support.nights import run_night

pytestmark = pytest.mark.django_db


class TestChannelOfChoice:
    @pytest.fixture
    def channels_of(self, always_open: Organisation, certify: Certify, today: date) -> Callable[[Mentor], list[str]]:
        def channels_of(mentor: Mentor) -> list[str]:
            certify(mentor, expires_in=7)
            run_night(always_open, today)
            return list(Notification.objects.filter(recipient_mentor=mentor).values_list("channel", flat=True))

        return channels_of

    def test_without_a_choice_it_is_e_mail(self, mentor: Mentor, channels_of: Callable[[Mentor], list[str]]) -> None:
        assert channels_of(mentor) == ["email"]

    def test_it_is_the_one_that_the_mentor_chose(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]], settings: Any
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        mentor = enrol(phone="+4712345678")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["sms"]

    def test_where_that_cannot_reach_her_it_is_e_mail(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]], settings: Any
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        mentor = enrol(phone="")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["email"]

    def test_where_the_installation_has_no_gateway_it_is_e_mail(
        self, enrol: Enrol, channels_of: Callable[[Mentor], list[str]]
    ) -> None:
        mentor = enrol(phone="+4712345678")
        Preference.objects.create(mentor=mentor, channel="sms")

        assert channels_of(mentor) == ["email"]

    def test_what_waits_for_a_channel_that_is_no_more_goes_by_e_mail(
        self, write: Write, post: MailServer, now: datetime
    ) -> None:
        notification = write(email="liv@example.org")
        Notification.objects.update(channel="webhook")  # the organisation has no app

        deliver(now)

        assert (fate(notification)[0], notification.channel, notification.attempts) == ("sent", "email", 1)
        assert len(post.to("liv@example.org")) == 1

    def test_a_coordinator_whom_her_channel_cannot_reach_is_written_to_by_e_mail(
        self, always_open: Organisation, mentor: Mentor, kari: User, certify: Certify, settings: Any, today: date
    ) -> None:
        settings.SMS_URL = "json://gateway.example/{to}"
        Preference.objects.create(user=kari, channel="sms")  # and no phone

        certify(mentor, expires_in=7)
        run_night(always_open, today)

        assert Notification.objects.get(recipient_user=kari, kind="digest").channel == EMAIL

    def test_who_cannot_be_reached_at_all_is_known_to_the_coordinators(
        self, enrol: Enrol, kari: User, channels_of: Callable[[Mentor], list[str]]
    ) -> None:
        mentor = enrol(email="")

        assert channels_of(mentor) == []
        assert Notification.objects.filter(recipient_user=kari, about=mentor, channel="inbox").exists()

    def test_the_inbox_and_operations_are_nobodys_choice(self) -> None:
        chosen = {code for code, channel in CHANNELS.items() if channel.is_personal}

        assert chosen == {"email", "sms", "chat", "webhook"}
