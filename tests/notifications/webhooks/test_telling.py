"""Messages to an organisation's app: once or again under the same id, with the facts beside the words."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.core import mail
from standardwebhooks import Webhook as Verifier

from certifications.models import Certification
from mentors.models import Chapter, Mentor, Organisation, User
from notifications.answers import record_answer
from notifications.channels.email import CHANNEL as EMAIL
from notifications.models import Answer, Notification, Preference, Webhook
from notifications.signing import webhook_secret
from tests.conftest import Certify
from tests.support.delivery import deliver
from tests.support.nights import run_night
from tests.support.receiver import Receiver
from tests.support.webhooks import blocks, envelope, payload


@pytest.fixture
def hook(app: Receiver, hlf: Organisation) -> Webhook:
    """HLF has an app, and takes messages at any hour."""
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()
    return Webhook.objects.create(organisation=hlf, url=f"{app.url}/hook")


@pytest.fixture
def reminded(hook: Webhook, mentor: Mentor, certify: Certify, today: date, now: datetime) -> Notification:
    """A message to a mentor who wants hers by the app, about a certification with a week left."""
    Preference.objects.create(mentor=mentor, channel="webhook")
    certify(mentor, expires_in=7)
    run_night(hook.organisation, today)
    return Notification.objects.get(recipient_mentor=mentor)


class TestDelivery:
    def test_a_message_arrives_signed_with_the_organisations_secret(
        self, app: Receiver, hook: Webhook, reminded: Notification, now: datetime
    ) -> None:
        deliver(now)

        [request] = app.received
        reminded.refresh_from_db()
        told = Verifier(webhook_secret(hook)).verify(request.body, request.headers)
        assert (reminded.channel, reminded.status) == ("webhook", "sent")
        assert told == payload(reminded, now)
        assert request.headers["webhook-id"] == reminded.message_id.strip("<>")

    def test_it_is_tried_again_under_the_same_id(
        self, app: Receiver, hook: Webhook, reminded: Notification, now: datetime
    ) -> None:
        app.always(500)
        deliver(now)
        reminded.refresh_from_db()
        app.always(200)

        deliver(reminded.next_attempt_at or now)

        assert reminded.error.in_english() == "The app answered 500."
        assert len({request.headers["webhook-id"] for request in app.received}) == 1
        assert [Verifier(webhook_secret(hook)).verify(each.body, each.headers)["type"] for each in app.received] == [
            "message.night", "message.night",
        ]  # fmt: skip
        reminded.refresh_from_db()
        assert (reminded.status, reminded.attempts) == ("sent", 2)

    def test_retry_after_is_waited_for(self, app: Receiver, reminded: Notification, now: datetime) -> None:
        app.always(429, Retry_After="7200")

        deliver(now)

        reminded.refresh_from_db()
        assert (reminded.status, reminded.next_attempt_at) == ("queued", now + timedelta(hours=2))

    def test_an_app_that_is_gone_is_left_alone_and_the_message_goes_by_mail(
        self, app: Receiver, hook: Webhook, reminded: Notification, now: datetime
    ) -> None:
        app.always(410)

        deliver(now)

        hook.refresh_from_db()
        reminded.refresh_from_db()
        assert (reminded.status, reminded.channel, reminded.given_up) == ("sent", "email", ["webhook"])
        assert hook.gone_at == now

    def test_a_new_version_is_a_new_secret(self, hook: Webhook, elsewhere: Chapter) -> None:
        other = Webhook(organisation=elsewhere.organisation, url=hook.url)
        before = webhook_secret(hook)

        hook.secret_version += 1

        assert len({before, webhook_secret(hook), webhook_secret(other)}) == 3


class TestPayload:
    def test_a_reminder_tells_the_facts_beside_the_words(
        self, reminded: Notification, mentor: Mentor, today: date, now: datetime, settings: Any
    ) -> None:
        settings.PUBLIC_URL = "https://nattevakt.example"

        told = payload(reminded, now)

        certification = Certification.objects.get()
        data = told["data"]
        assert told["type"] == "message.night"
        assert datetime.fromisoformat(told["timestamp"]) == reminded.created_at
        assert data["events"] == [
            {
                "kind": "remind", "mentor": mentor.pk, "types": ["likepersonkurs"], "certification": certification.pk,
                "expires_on": str(today + timedelta(days=7)), "stage": 7, "answer": None,
            }
        ]  # fmt: skip
        assert data["recipient"] == {"mentor": mentor.pk, "ref": "M0"}
        assert data["answer_url"].startswith("https://nattevakt.example/a/")
        assert (data["id"], data["kind"], data["organisation"], data["language"], data["about"], data["run"]) == (
            reminded.pk, "night", "hlf", "nb", mentor.pk, str(reminded.run_id),
        )  # fmt: skip
        assert "28. november 2026" in data["text"]
        assert data["subject"]

    def test_the_documentation_names_every_field_and_no_other(self, reminded: Notification, now: datetime) -> None:
        documented = json.loads(blocks("json")[0])

        told = payload(reminded, now)

        assert documented.keys() == told.keys()
        assert documented["data"].keys() == told["data"].keys()
        assert documented["data"]["events"][0].keys() == told["data"]["events"][0].keys()

    def test_a_coordinator_is_named_by_her_login(
        self, hook: Webhook, mentor: Mentor, kari: User, certify: Certify, today: date, now: datetime
    ) -> None:
        Preference.objects.create(user=kari, channel="webhook", mail="each")
        certify(mentor, expires_in=-1)
        run_night(hook.organisation, today)

        told = payload(Notification.objects.get(kind="pause", channel="webhook"), now)["data"]

        assert told["recipient"] == {"user": "kari"}
        assert (told["about"], told["answer_url"]) == (mentor.pk, None)
        assert [(each["kind"], each["types"], each["stage"]) for each in told["events"]] == [
            ("pause", ["likepersonkurs"], None)
        ]

    def test_an_answer_says_what_was_answered(
        self, reminded: Notification, kari: User, mentor: Mentor, now: datetime
    ) -> None:
        record_answer(reminded, Answer.Choice.HELP, now=now)

        told = payload(Notification.objects.filter(kind="answer").latest("pk"), now)["data"]

        assert [(each["kind"], each["answer"]) for each in told["events"]] == [("answer", "help")]

    def test_only_an_app_pays_for_it(self) -> None:
        def make() -> dict[str, Any]:
            raise AssertionError("Nobody asked for it.")

        with EMAIL.connect() as post:
            post(envelope("liv@example.org", payload=make))

        assert len(mail.outbox) == 1
