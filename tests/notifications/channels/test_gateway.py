"""SMS and chat through a gateway."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.utils import timezone

from certifications.recheck import recheck_messages
from mentors.models import Mentor, Organisation
from notifications import gateway as gateways
from notifications import record_text
from notifications.channel import Channel, Envelope, Recipient, Refused, TryLater, Undelivered, Unreachable
from notifications.channels.chat import CHANNEL as CHAT
from notifications.channels.sms import CHANNEL as SMS
from notifications.delivery import deliver_batch
from notifications.gateway import open_service
from notifications.models import Notification, Preference
from notifications.rendered_message import Paragraph, RenderedMessage
from tests.conftest import Certify
from tests.support.nights import noon, run_night
from tests.support.processes import free_port
from tests.support.receiver import HANG, Receiver

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PHONE = "+4791234567"
LETTER = RenderedMessage(
    language="nb",
    subject="Kurset <ditt> går ut",
    short="Kurset ditt går ut 28. november.",
    greeting="Hei, Liv!",
    blocks=(Paragraph(text="Kurset ditt går ut 28. november. Gi beskjed til Kari & Olav."),),
    footer=(),
)
STRANGE = [
    "/?&#@:..",
    "..",
    ".",
    "../x",
    "a/b",
    "a?b=c",
    "a#b",
    "a&b",
    "a b",
    "a,b",
    "a;b",
    "%2e%2e",
    "#general",
    "a\\b",
]


def send(channel: Channel, address: str, *, rendered: RenderedMessage = LETTER) -> None:
    envelope = Envelope(
        address=address, rendered=rendered, sender="HLF", message_id="<1@nattevakt.example>", written_at=timezone.now()
    )
    with channel.connect() as post:
        post(envelope)


def refusal(channel: Channel, address: str = PHONE) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(channel, address)
    return caught.value


class TestMessages:
    def test_an_sms_is_the_short_form(self, gateway: Receiver) -> None:
        send(SMS, PHONE)

        [request] = gateway.received
        said = json.loads(request.body)
        assert unquote(request.path) == f"/sms/{PHONE}"
        assert (said["title"], said["message"]) == ("", LETTER.short)
        assert request.headers["authorization"].startswith("Basic ")

    def test_a_chat_message_is_the_whole_letter_as_text(self, gateway: Receiver) -> None:
        send(CHAT, "@liv")

        [request] = gateway.received
        said = json.loads(request.body)
        assert unquote(request.path) == "/chat/@liv?token=secret"
        assert said["title"] == "Kurset <ditt> går ut"
        assert "Hei, Liv!" in said["message"]
        assert "Kari & Olav" in said["message"]

    def test_a_gateway_that_writes_html_gets_the_text_as_such(self, gateway: Receiver, settings: Any) -> None:
        settings.CHAT_URL += "&format=html"

        send(CHAT, "@liv")

        assert "Kari&nbsp;&amp;&nbsp;Olav" in json.loads(gateway.received[0].body)["message"]

    def test_a_chat_message_that_is_too_long_for_the_gateway_becomes_several(
        self, gateway: Receiver, settings: Any
    ) -> None:
        settings.CHAT_URL = f"mmost://127.0.0.1:{gateway.port}/token1234567?channel={{to}}"  # Mattermost takes 4000
        gateway.always(200)
        long = replace(LETTER, blocks=tuple(Paragraph(text=f"{number} ord") for number in range(1000)))

        send(CHAT, "liv", rendered=long)

        said = [json.loads(request.body)["text"] for request in gateway.received]
        assert len(said) > 1
        assert max(map(len, said)) <= 4000
        assert [number in " ".join(said) for number in ("0 ord", "500 ord", "999 ord")] == [True] * 3


class TestAddresses:
    @pytest.mark.parametrize(
        ("recipient", "address"),
        [
            (Recipient(phone=PHONE), PHONE),
            (Recipient(phone=PHONE, chosen="+46 70 123 45 67"), "+46701234567"),
            (Recipient(phone=PHONE, chosen="liv@example.org"), PHONE),  # of another kind: the one on record
            (Recipient(phone="91234567"), ""),
            (Recipient(phone="+4712"), ""),
            (Recipient(email="liv@example.org"), ""),
            *((Recipient(chosen=f"+47{text}"), "") for text in STRANGE),
        ],
    )
    def test_an_sms_goes_to_a_phone_and_nowhere_else(self, recipient: Recipient, address: str) -> None:
        assert SMS.address_of(recipient) == address

    @pytest.mark.parametrize("address", ["@liv", "123456789", PHONE, "liv@example.org", "@liv:example.org", "Åse_1"])
    def test_a_chat_message_goes_to_the_chosen_address(self, gateway: Receiver, address: str) -> None:
        assert CHAT.address_of(Recipient(chosen=address, phone="+4790000000", email="on@record.example")) == address

        send(CHAT, address)

        assert unquote(gateway.received[0].path) == f"/chat/{address}?token=secret"

    @pytest.mark.parametrize("address", STRANGE)
    def test_what_would_be_more_than_an_address_is_none(self, gateway: Receiver, address: str) -> None:
        error = refusal(CHAT, address)

        assert CHAT.address_of(Recipient(chosen=address)) == ""
        assert isinstance(error, Refused)
        assert error.bad_address
        assert gateway.received == []

    @pytest.mark.parametrize("address", STRANGE)
    def test_whatever_the_address_the_url_keeps_its_host_path_and_query(self, gateway: Receiver, address: str) -> None:
        """A second lock, should the first be left open one day."""
        plain = open_service(CHAT.url, "liv")

        service = open_service(CHAT.url, address)

        assert (service.host, service.port, service.params) == ("127.0.0.1", gateway.port, plain.params)
        assert (service.user, service.password, service.method) == (plain.user, plain.password, plain.method)
        assert service.fullpath.count("/") == plain.fullpath.count("/")
        assert not set("?#") & set(service.fullpath)

    def test_what_the_gateway_does_not_know_for_an_address_is_not_sent_to_the_gateways_own(self, settings: Any) -> None:
        settings.CHAT_URL = f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/{{to}}"

        assert open_service(CHAT.url, PHONE).targets == [("T", PHONE)]
        for address in ("@liv", "+4712"):
            error = refusal(CHAT, address)
            assert isinstance(error, Refused)
            assert error.bad_address

    def test_a_host_is_the_gateway_not_the_recipient(self, gateway: Receiver, settings: Any) -> None:
        assert SMS.host_of(PHONE) == "sms:json"
        settings.SMS_URL = "Twilio://account:token@from/{to}"
        assert SMS.host_of(PHONE) == SMS.host_of("+4790000000") == "sms:twilio"

    def test_without_a_gateway_nobody_can_choose_it(self, settings: Any) -> None:
        assert not SMS.is_set_up()
        assert not CHAT.is_set_up()
        settings.SMS_URL = "json://gateway.example.org/{to}"
        assert SMS.is_set_up()
        assert not CHAT.is_set_up()


class TestAnswer:
    @pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 408, 425, 429, 500, 503])
    def test_what_passes_or_is_ours_to_mend_is_tried_again(self, gateway: Receiver, status: int) -> None:
        gateway.always(status, Location="/elsewhere")

        error = refusal(SMS)

        assert isinstance(error, TryLater)
        assert error.reason.in_english() == f"The gateway answered {status}."
        assert len(gateway.received) == 1

    @pytest.mark.parametrize("status", [400, 422])
    def test_a_refusal_is_for_good(self, gateway: Receiver, status: int) -> None:
        gateway.always(status)

        error = refusal(SMS)

        assert isinstance(error, Refused)
        assert not error.bad_address  # it may be the text that it did not like

    def test_a_gateway_that_hangs_or_is_not_there_is_unreachable(self, gateway: Receiver, settings: Any) -> None:
        gateway.answer = lambda _request: HANG
        settings.SMS_URL += "?rto=0.2"
        assert isinstance(refusal(SMS), Unreachable)

        settings.SMS_URL = f"json://127.0.0.1:{free_port()}/{{to}}"
        assert isinstance(refusal(SMS), Unreachable)

    def test_a_gateway_whose_url_is_wrong_makes_no_address_bad(self, settings: Any) -> None:
        for url in ("", "pigeon://loft/{to}"):
            settings.SMS_URL = url

            error = refusal(SMS)

            assert isinstance(error, Unreachable)
            assert "SMS_URL" in error.reason.in_english()

    def test_trouble_of_which_it_says_nothing_is_tried_again(self) -> None:
        failure = gateways._failure(["There are no targets: Liv, +4791234567"])

        assert isinstance(failure, TryLater)
        assert failure.reason == record_text.GATEWAY_NOT_NOW()

    def test_a_reason_names_nobody(self, gateway: Receiver) -> None:
        for status in (400, 500):
            gateway.always(status)
            assert not re.search(r"\d{4}|Liv|127", refusal(SMS).reason.as_text())


@pytest.mark.django_db
class TestDelivery:
    def test_a_mentor_who_chose_sms_gets_one(
        self, gateway: Receiver, always_open: Organisation, mentor: Mentor, certify: Certify, today: Any
    ) -> None:
        Mentor.objects.update(phone=PHONE)
        Preference.objects.create(mentor=mentor, channel="sms")
        certify(mentor, expires_in=7)
        run_night(always_open, today)

        deliver_batch(now=noon(today) + timedelta(hours=1), recheck_messages=recheck_messages)

        [request] = gateway.received
        assert unquote(request.path) == f"/sms/{PHONE}"
        assert len(json.loads(request.body)["message"]) <= 300
        assert Notification.objects.get(recipient_mentor=mentor).status == "sent"

    def test_a_mentor_whom_it_does_not_reach_gets_an_email(
        self, gateway: Receiver, hlf: Organisation, mentor: Mentor, certify: Certify, today: Any
    ) -> None:
        Preference.objects.create(mentor=mentor, channel="chat", address="a/b?c")
        certify(mentor, expires_in=7)

        run_night(hlf, today)

        assert Notification.objects.get(recipient_mentor=mentor).channel == "email"
