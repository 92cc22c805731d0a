"""What providers of mail report by a webhook, and the settings that let them."""

from __future__ import annotations

import base64
import json
import os
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from anymail.webhooks import brevo, mailgun
from django.core import checks
from django.test import Client
from django.urls import URLPattern, URLResolver, include, path
from environs import EnvError

from config.urls import provider_webhooks
from mentors.models import User
from mentors.validators import RESERVED_SLUGS
from notifications.bounce_reports import DeliveryReport, Outcome, read_event
from notifications.models import Notification
from tests.support.bounces import FORGED_ID, marked, told
from tests.support.processes import web
from tests.support.settings import read_settings

SECRET = "postmark:of-this-test"

# What config/urls.py mounts with EMAIL_PROVIDER=postmark.
urlpatterns: list[URLPattern | URLResolver] = [path("anymail/", include(provider_webhooks("postmark", secret=SECRET)))]


def postmark_bounce(message_id: str, **changes: Any) -> dict[str, Any]:
    """Return what Postmark posts for a bounce, as its documentation shows it."""
    return {
        "RecordType": "Bounce",
        "MessageStream": "outbound",
        "ID": 4323372036854775807,
        "Type": "HardBounce",
        "TypeCode": 1,
        "Name": "Hard bounce",
        "Tag": "",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {"message_id": message_id},
        "ServerID": 23,
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "smtp;550 5.1.1 <liv@example.org>: Recipient address rejected: User unknown",
        "Email": "liv@example.org",
        "From": "nattevakt@example.org",
        "BouncedAt": "2026-11-21T11:00:54.9070259Z",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "Likepersonkurs",
    } | changes


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(secret.encode()).decode()


@pytest.mark.parametrize("secret", ["", "postmark", ":password", "name:"])
def test_without_a_secret_there_is_no_address_for_reports(secret: str) -> None:
    assert provider_webhooks("postmark", secret=secret) == []


@pytest.mark.django_db
class TestWebhook:
    URL = "/anymail/postmark/tracking/"

    @pytest.fixture(autouse=True)
    def mounted(self, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}

    def post(self, event: dict[str, Any], *, secret: str | None = SECRET) -> int:
        headers = {"Authorization": basic(secret)} if secret else {}
        return Client(headers=headers).post(self.URL, json.dumps(event), content_type="application/json").status_code

    @pytest.mark.parametrize(
        ("changes", "status", "error", "is_marked"),
        [
            ({}, "failed", "came back: smtp;550 5.1.1 <…>: Recipient address rejected: User unknown", True),
            ({"Type": "BadEmailAddress", "Details": None}, "failed", "came back: The server was unable", True),
            ({"Type": "SoftBounce", "Details": "Mailbox unavailable"}, "failed", "came back: Mailbox", False),
            ({"Type": "HardBounce", "Details": "smtp;552 5.2.2 full"}, "failed", "came back: smtp;552", False),
            ({"Type": "Blocked", "Details": "spam"}, "failed", "came back: spam", False),
            ({"Type": "SMTPApiError", "Details": ""}, "failed", "came back: The server", False),
            ({"Type": "Transient"}, "sent", "", False),
            ({"Type": "AutoResponder"}, "sent", "", False),
            ({"RecordType": "Delivery"}, "sent", "", False),
            (
                {"RecordType": "SpamComplaint", "Type": "SpamComplaint"},
                "sent",
                "unwanted: the reader reported a message as spam",
                True,
            ),
        ],
    )  # fmt: skip
    def test_what_postmark_reports_is_recorded(
        self, sent: Notification, kari: User, changes: dict[str, Any], status: str, error: str, is_marked: bool
    ) -> None:
        answer = self.post(postmark_bounce(sent.message_id, **changes))

        sent.refresh_from_db()
        assert answer == 200
        assert sent.status == status
        assert sent.error.in_english().startswith(error)
        assert bool(sent.error.in_english()) is bool(error)
        assert bool(marked()) is is_marked
        assert told() == ([("kari", "M0")] if is_marked else [])

    def test_a_repeated_report_tells_once(self, sent: Notification, kari: User) -> None:
        answers = [self.post(postmark_bounce(sent.message_id)) for _ in range(2)]

        assert answers == [200, 200]
        assert told() == [("kari", "M0")]

    @pytest.mark.parametrize("secret", [None, "postmark:guessed", "postmark"])
    def test_without_the_secret_nothing_is_believed(self, sent: Notification, secret: str | None) -> None:
        answer = self.post(postmark_bounce(sent.message_id), secret=secret)

        sent.refresh_from_db()
        assert answer == 400
        assert (sent.status, marked()) == ("sent", [])

    @pytest.mark.parametrize(
        "changes",
        [
            {"Metadata": {"message_id": FORGED_ID}},
            {"Metadata": {"message_id": 7}},
            {"Metadata": {}},
            {"Metadata": {"message_id": ""}},
            {"Email": "kari@example.org"},
            {"Email": None},
        ],
    )
    def test_what_is_about_no_message_of_ours_does_nothing(
        self, sent: Notification, kari: User, changes: dict[str, Any]
    ) -> None:
        answer = self.post(postmark_bounce(sent.message_id, **changes))

        sent.refresh_from_db()
        assert answer == 200
        assert (sent.status, marked()) == ("sent", [])

    def test_other_providers_and_incoming_mail_are_not_let_in(self) -> None:
        client = Client(headers={"Authorization": basic(SECRET)})

        answers = [client.head(f"/anymail/{path}/").status_code for path in ("mailgun/tracking", "postmark/inbound")]

        assert answers == [404, 404]
        assert client.head(self.URL).status_code == 200


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_with_a_provider_in_the_environment_its_webhook_is_served(sent: Notification, kari: User) -> None:
    body = postmark_bounce(sent.message_id)

    with web(EMAIL_PROVIDER="postmark", ANYMAIL_POSTMARK_SERVER_TOKEN="t", ANYMAIL_WEBHOOK_SECRET=SECRET) as address:
        url = f"{address}/anymail/postmark/tracking/"
        refused = requests.post(url, json=body, timeout=120)
        taken = requests.post(url, json=body, timeout=120, headers={"Authorization": basic(SECRET)})

    assert (refused.status_code, taken.status_code) == (400, 200)
    assert marked() == [("email", "liv@example.org")]
    assert told() == [("kari", "M0")]


class TestOtherProviders:
    """Each in its own words, through django-anymail's own reader of them."""

    def read(self, view: Any, event: dict[str, Any]) -> DeliveryReport | None:
        return read_event(view().esp_to_anymail_event(event))

    @pytest.fixture(autouse=True)
    def secret(self, settings: Any) -> None:
        settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET, "MAILGUN_API_KEY": "k"}

    @pytest.mark.parametrize(
        ("event", "reason", "outcome"),
        [
            ("hard_bounce", "550-5.1.1 No such user", Outcome.BAD_ADDRESS),
            ("hard_bounce", "", Outcome.BAD_ADDRESS),
            ("soft_bounce", "", Outcome.LOST),
            ("soft_bounce", "452 4.2.2 mailbox full", Outcome.LOST),
            ("invalid_email", "", Outcome.BAD_ADDRESS),
            ("blocked", "", Outcome.LOST),
            ("spam", "", Outcome.UNWANTED),
            ("error", "", Outcome.LOST),
        ],
    )
    def test_brevo(self, event: str, reason: str, outcome: Outcome) -> None:
        found = self.read(
            brevo.BrevoTrackingWebhookView,
            {
                "event": event,
                "email": "liv@example.org",
                "id": 26224,
                "date": "2026-11-21 12:00:54",
                "ts_event": 1795258854,
                "ts_epoch": 1795258854000,
                "message-id": "<201811210454.1@smtp-relay.mailin.fr>",
                "X-Mailin-custom": '{"message_id": "<1.a@example.org>"}',
                "reason": reason,
                "subject": "Likepersonkurs",
            },
        )

        assert found is not None
        assert (found.message_ids, found.addresses) == (("<1.a@example.org>",), ("liv@example.org",))
        assert found.outcome == outcome

    @pytest.mark.parametrize(
        ("severity", "reason", "message", "outcome"),
        [
            ("permanent", "bounce", "No such user", Outcome.BAD_ADDRESS),
            ("permanent", "generic", "5.1.1 The account does not exist", Outcome.BAD_ADDRESS),
            ("permanent", "generic", "5.7.1 Blocked", Outcome.LOST),
            ("permanent", "suppress-bounce", "Not delivering to previously bounced address", Outcome.BAD_ADDRESS),
            ("temporary", "generic", "4.2.2 full", None),
        ],
    )
    def test_mailgun(self, severity: str, reason: str, message: str, outcome: Outcome | None) -> None:
        found = self.read(
            mailgun.MailgunTrackingWebhookView,
            {
                "signature": {"timestamp": "1795258854", "token": "t", "signature": "s"},
                "event-data": {
                    "event": "failed",
                    "severity": severity,
                    "reason": reason,
                    "id": "G9Bn5sl1TC6nu79C8C0bwg",
                    "timestamp": 1795258854.0,
                    "recipient": "liv@example.org",
                    "delivery-status": {"code": 550, "message": message, "description": ""},
                    "message": {"headers": {"message-id": "1.a@example.org"}},
                    "user-variables": {"message_id": "<1.a@example.org>"},
                    "tags": [],
                },
            },
        )

        assert (found.outcome if found else None) == outcome

    def test_what_a_provider_has_on_its_own_list_is_a_bad_address(self) -> None:
        event = SimpleNamespace(
            event_type="rejected", reject_reason="unsubscribed", recipient="liv@example.org", description=None,
            mta_response=None, metadata={"message_id": "<1.a@example.org>"}, esp_event=None,
        )  # fmt: skip

        found = read_event(event)

        assert found is not None
        assert (found.outcome, found.reason) == (Outcome.BAD_ADDRESS, "unsubscribed")

    @pytest.mark.parametrize("metadata", [None, [], "text", {"message_id": None}])
    def test_a_provider_that_does_not_carry_the_message_id_is_not_guessed_at(self, metadata: Any) -> None:
        event = SimpleNamespace(
            event_type="bounced", reject_reason="bounced", recipient="liv@example.org", description=None,
            mta_response=None, metadata=metadata, esp_event=None, message_id="<1.a@example.org>",
        )  # fmt: skip

        assert read_event(event) is None


class TestSettings:
    def found(self) -> set[str | None]:
        return {message.id for message in checks.run_checks(databases=[]) if (message.id or "").startswith("nattevakt")}

    @pytest.mark.parametrize(
        ("provider", "anymail", "ids"),
        [
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": "a:b"}, set()),
            ("postmark", {"WEBHOOK_SECRET": "a:b"}, {"nattevakt.E010"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t"}, {"nattevakt.E011"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": "nocolon"}, {"nattevakt.E011"}),
            ("postmark", {"POSTMARK_SERVER_TOKEN": "t", "WEBHOOK_SECRET": ":"}, {"nattevakt.E011"}),
            ("amazon_ses", {"WEBHOOK_SECRET": "a:b"}, {"nattevakt.E010"}),  # its library is not installed
            ("", {}, set()),
        ],
    )
    def test_a_provider_has_what_it_needs(
        self, settings: Any, provider: str, anymail: dict[str, str], ids: set[str]
    ) -> None:
        settings.EMAIL_PROVIDER = provider
        settings.ANYMAIL = anymail
        if provider:
            settings.EMAIL_BACKEND = f"anymail.backends.{provider}.EmailBackend"

        assert self.found() == ids

    def test_the_variables_that_begin_with_anymail_are_its_settings(self) -> None:
        given = {
            "EMAIL_PROVIDER": "mailgun",
            "ANYMAIL_MAILGUN_API_KEY": "key",
            "ANYMAIL_WEBHOOK_SECRET": "a:b",
            "ANYMAIL_MAILGUN_API_URL": "",
            "ANYMAIL_DEBUG_API_REQUESTS": "false",
        }

        found = read_settings(os.environ | given)

        assert (found["EMAIL_PROVIDER"], found["EMAIL_BACKEND"]) == ("mailgun", "anymail.backends.mailgun.EmailBackend")
        assert found["ANYMAIL"] == {
            "MAILGUN_API_KEY": "key",
            "WEBHOOK_SECRET": "a:b",
            "DEBUG_API_REQUESTS": False,
            "IGNORE_UNSUPPORTED_FEATURES": True,
            "REQUESTS_TIMEOUT": 30,
        }

    @pytest.mark.parametrize("provider", ["pigeon", "console", "test", "base", "Postmark"])
    def test_a_provider_that_is_none_is_refused_by_name(self, provider: str) -> None:
        with pytest.raises(EnvError, match='Environment variable "EMAIL_PROVIDER" invalid'):
            read_settings(os.environ | {"EMAIL_PROVIDER": provider})

    def test_no_organisation_can_take_the_address(self) -> None:
        assert "anymail" in RESERVED_SLUGS
