"""Messages to an organisation's app: signed, once or again under the same id, and to nobody inside our own network."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from certifications.models import Certification
from certifications.truth import find_outdated
from mentors.models import Chapter, Mentor, Organisation, User
from notifications.answers import record_answer
from notifications.channel import Envelope, Refused, TryLater, Undelivered, Unreachable
from notifications.channels import webhook
from notifications.channels.email import CHANNEL as EMAIL
from notifications.channels.webhook import CHANNEL
from notifications.delivery import deliver_batch
from notifications.messages.letter import Letter, Paragraph
from notifications.messages.message import gather, read_notifications
from notifications.messages.payload import payload_of
from notifications.messages.words import write_letter
from notifications.models import Answer, Notification, Preference, Webhook
from notifications.signing import webhook_secret
from tests.conftest import TODAY, Certify
from tests.support.nights import noon, run_night
from tests.support.processes import PROJECT, free_port, running
from tests.support.receiver import HANG, Receiver, http_receiver
from tests.support.receiver import Answer as Reply

SECRET = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdA=="
ANOTHER = "whsec_YW5vdGhlci1zZWNyZXQtYWx0b2dldGhlcg=="
LETTER = Letter(
    language="nb",
    subject="Kurset ditt går ut",
    short="Kurset ditt går ut 28. november.",
    greeting="Hei, Liv!",
    blocks=(Paragraph(text="Kurset ditt går ut 28. november."),),
    footer=(),
)


@pytest.fixture
def app(settings: Any) -> Iterator[Receiver]:
    """An organisation's app, on this machine."""
    settings.WEBHOOK_PRIVATE_HOSTS = True
    with http_receiver() as receiver:
        yield receiver


def envelope(url: str, *, written_at: datetime | None = None, **fields: Any) -> Envelope:
    values: dict[str, Any] = {
        "message_id": "<1.2b6c@nattevakt.example>",
        "secret": SECRET,
        "payload": lambda: {"data": {"subject": "Blåbærsyltetøy"}},
    }
    return Envelope(
        address=url, letter=LETTER, sender="HLF", written_at=written_at or timezone.now(), **values | fields
    )


def send(*envelopes: Envelope) -> None:
    with CHANNEL.connect() as post:
        for each in envelopes:
            post(each)


def refusal(url: str) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(envelope(url))
    return caught.value


class TestSignature:
    def test_the_app_can_verify_it(self, app: Receiver) -> None:
        send(envelope(f"{app.url}/hook?of=hlf"))

        [request] = app.received
        assert Verifier(SECRET).verify(request.body, request.headers) == {"data": {"subject": "Blåbærsyltetøy"}}
        assert request.path == "/hook?of=hlf"
        assert request.headers["webhook-id"] == "1.2b6c@nattevakt.example"
        assert request.headers["user-agent"] == "Nattevakt"
        assert request.headers["content-type"] == "application/json"

    def test_another_secret_or_a_changed_body_is_found_out(self, app: Receiver) -> None:
        send(envelope(app.url))

        [request] = app.received
        with pytest.raises(WebhookVerificationError):
            Verifier(ANOTHER).verify(request.body, request.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(request.body.replace("bær".encode(), b"bar"), request.headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(request.body, request.headers | {"webhook-id": "2"})

    def test_every_attempt_has_the_same_id_and_its_own_time_so_that_an_old_one_is_found_out(
        self, app: Receiver
    ) -> None:
        now = timezone.now()

        send(envelope(app.url, written_at=now - timedelta(hours=1)), envelope(app.url, written_at=now))

        first, second = app.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
        assert Verifier(SECRET).verify(second.body, second.headers)
        with pytest.raises(WebhookVerificationError, match="too old"):
            Verifier(SECRET).verify(first.body, first.headers)

    def test_it_is_right_whatever_the_time_zone_of_the_clock(self, app: Receiver) -> None:
        send(envelope(app.url, written_at=timezone.now().astimezone(timezone.get_fixed_timezone(90))))

        [request] = app.received
        assert Verifier(SECRET).verify(request.body, request.headers)


class TestAnswer:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_a_message_that_was_taken_is_delivered(self, app: Receiver, status: int) -> None:
        app.always(status)

        send(envelope(app.url))

        assert len(app.received) == 1

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_trouble_that_passes_is_tried_again(self, app: Receiver, status: int) -> None:
        app.always(status)

        assert isinstance(refusal(app.url), TryLater)

    @pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 405, 422])
    def test_a_refusal_is_for_good(self, app: Receiver, status: int) -> None:
        app.always(status)

        error = refusal(app.url)

        assert isinstance(error, Refused)
        assert (error.host_is_gone, error.bad_address) == (False, False)
        assert error.reason == f"The app answered {status}."

    def test_410_says_that_the_app_is_gone(self, app: Receiver) -> None:
        app.always(410)

        error = refusal(app.url)

        assert isinstance(error, Refused)
        assert error.host_is_gone

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, app: Receiver, status: int) -> None:
        app.always(status, Location=f"{app.url}/elsewhere")

        assert isinstance(refusal(app.url), Refused)
        assert [request.path for request in app.received] == ["/"]

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("120", 120), ("0", 0), ("999999", 86_400), ("9" * 5000, 0), ("-5", 0), ("soon", 0), ("", 0), ("²", 0)],
    )
    def test_it_may_say_in_seconds_when_to_come_again(self, app: Receiver, value: str, seconds: int) -> None:
        app.answer = lambda _request: Reply(429, {"Retry-After": value})

        error = refusal(app.url)

        assert isinstance(error, TryLater)
        assert error.after_seconds == seconds

    @pytest.mark.parametrize(("minutes", "seconds"), [(2, 120), (60 * 24 * 30, 86_400), (-5, 0)])
    def test_it_may_say_by_a_date_when_to_come_again(self, app: Receiver, minutes: int, seconds: int) -> None:
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        app.always(503, Retry_After=format_datetime(at, usegmt=True))

        error = refusal(app.url)

        assert isinstance(error, TryLater)
        assert error.after_seconds == pytest.approx(seconds, abs=2)

    def test_an_answer_without_end_holds_nobody_up(self, app: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CHANNEL, "read_seconds", 0.2)
        app.answer = lambda request: Reply(200, body=b"x" * (100_000 if request.path == "/long" else 0), hangs=True)
        began = monotonic()

        send(envelope(f"{app.url}/long"), envelope(f"{app.url}/silent"))

        assert len(app.received) == 2
        assert monotonic() - began < 5

    def test_a_connection_carries_a_batch(self, app: Receiver) -> None:
        app.answer = lambda _request: Reply(200, body=b'{"ok": true}')

        send(*[envelope(app.url)] * 5)

        assert len(app.received) == 5
        assert len({request.client for request in app.received}) == 1

    def test_nothing_of_an_answer_goes_into_the_next_request(self, app: Receiver) -> None:
        app.always(204, Set_Cookie="session=of-another-organisation")

        send(envelope(app.url), envelope(app.url))

        assert not any("cookie" in request.headers for request in app.received)


class TestReach:
    def test_an_app_that_hangs_is_given_up_in_time(self, app: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CHANNEL, "read_seconds", 0.2)
        app.answer = lambda _request: HANG
        began = monotonic()

        error = refusal(app.url)

        assert isinstance(error, Unreachable)
        assert monotonic() - began < 5

    def test_an_app_that_is_not_there_is_unreachable(self, settings: Any) -> None:
        settings.WEBHOOK_PRIVATE_HOSTS = True

        assert isinstance(refusal(f"http://127.0.0.1:{free_port()}"), Unreachable)
        assert isinstance(refusal("http://nobody.invalid/hook"), Unreachable)

    @pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://app.example.org", "http://a b.example.org", ""])
    def test_what_is_no_address_is_refused(self, settings: Any, url: str) -> None:
        settings.WEBHOOK_PRIVATE_HOSTS = True

        assert isinstance(refusal(url), Refused)

    def test_a_reason_names_neither_the_address_nor_the_answer(self, app: Receiver) -> None:
        app.answer = lambda _request: Reply(500, body=b"liv@example.org")

        assert refusal(f"{app.url}/secret-path").reason == "The app answered 500."
        assert refusal(f"http://127.0.0.1:{free_port()}/secret-path").reason == "ConnectionError"


@contextmanager
def listener() -> Iterator[socket.socket]:
    """Somebody inside our own network."""
    with closing(socket.create_server(("127.0.0.1", 0))) as inside:
        inside.settimeout(0.2)
        yield inside


class TestPrivateHosts:
    """In production an app is outside, and is spoken to in secret."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"])
    def test_nobody_inside_is_knocked_at(self, host: str) -> None:
        with listener() as inside:
            error = refusal(f"https://{host}:{inside.getsockname()[1]}/")

            assert isinstance(error, Refused)
            assert error.reason == webhook.NOT_PUBLIC
            with pytest.raises(TimeoutError):
                inside.accept()

    @pytest.mark.parametrize(
        "host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "224.0.0.1", "[fd00::1]"]
    )
    def test_an_address_that_is_not_public_is_refused(self, host: str) -> None:
        assert refusal(f"https://{host}/").reason == webhook.NOT_PUBLIC

    def test_a_host_with_one_address_inside_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As its DNS would have it: which of them is connected to would be left to chance."""
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.215.14", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

        assert refusal("https://app.example.org/").reason == webhook.NOT_PUBLIC

    def test_what_was_looked_at_is_what_is_connected_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The name is looked up once: its DNS cannot say one thing to the check and another to the connection."""
        asked: list[str] = []
        really = socket.getaddrinfo

        def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(host)
            return really("127.0.0.1" if host == "app.example.org" else host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(webhook, "_is_public", lambda address: address == "127.0.0.1")
        monkeypatch.setattr(CHANNEL, "read_seconds", 0.2)
        monkeypatch.setattr(CHANNEL, "connect_seconds", 0.2)

        with listener() as inside:
            error = refusal(f"https://app.example.org:{inside.getsockname()[1]}/")
            connection, _address = inside.accept()
            with connection:
                hello = connection.recv(4096)

        assert isinstance(error, Unreachable)  # nobody there speaks TLS
        assert b"app.example.org" in hello  # and the certificate would have to be for the name
        assert asked.count("app.example.org") == 1

    def test_another_address_is_tried_if_the_first_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with listener() as inside:
            port = inside.getsockname()[1]
            monkeypatch.setattr(webhook, "_public_addresses", lambda *_args: ["127.0.0.2", "127.0.0.1"])
            monkeypatch.setattr(CHANNEL, "read_seconds", 0.2)
            monkeypatch.setattr(CHANNEL, "connect_seconds", 0.2)

            assert isinstance(refusal(f"https://app.example.org:{port}/"), Unreachable)
            connection, _address = inside.accept()
            connection.close()

    @pytest.mark.parametrize("scheme", ["http", "HTTP"])
    def test_an_address_without_tls_is_refused(self, scheme: str) -> None:
        assert refusal(f"{scheme}://app.example.org/").reason == webhook.NOT_HTTPS


@pytest.fixture
def hook(app: Receiver, hlf: Organisation) -> Webhook:
    """HLF has an app, and takes messages at any hour."""
    hlf.sending_from = hlf.sending_until = time(0)
    hlf.save()
    return Webhook.objects.create(organisation=hlf, url=f"{app.url}/hook")


@pytest.fixture
def now() -> datetime:
    """An hour after the night, which these tests run at noon."""
    return noon(TODAY) + timedelta(hours=1)


@pytest.fixture
def reminded(hook: Webhook, mentor: Mentor, certify: Certify, today: date, now: datetime) -> Notification:
    """A message to a mentor who wants hers by the app, about a certification with a week left."""
    Preference.objects.create(mentor=mentor, channel="webhook")
    certify(mentor, expires_in=7)
    run_night(hook.organisation, today)
    return Notification.objects.get(recipient_mentor=mentor)


def deliver(now: datetime) -> None:
    deliver_batch(now=now, find_outdated=find_outdated)


def payload(notification: Notification, now: datetime) -> Any:
    """Return what the app would be told, as it arrives."""
    [message] = gather(read_notifications().filter(pk=notification.pk), now=now)
    return json.loads(json.dumps(payload_of(message, write_letter(message))))


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

        assert reminded.error == "The app answered 500."
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

    def test_an_app_that_is_gone_is_left_alone(
        self, app: Receiver, hook: Webhook, reminded: Notification, now: datetime
    ) -> None:
        app.always(410)

        deliver(now)

        hook.refresh_from_db()
        reminded.refresh_from_db()
        assert (reminded.status, reminded.error) == ("failed", "The app answered 410.")
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
        assert data["happenings"] == [
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
        assert documented["data"]["happenings"][0].keys() == told["data"]["happenings"][0].keys()

    def test_a_coordinator_is_named_by_her_login(
        self, hook: Webhook, mentor: Mentor, kari: User, certify: Certify, today: date, now: datetime
    ) -> None:
        Preference.objects.create(user=kari, channel="webhook", mail="each")
        certify(mentor, expires_in=-1)
        run_night(hook.organisation, today)

        told = payload(Notification.objects.get(kind="pause", channel="webhook"), now)["data"]

        assert told["recipient"] == {"user": "kari"}
        assert (told["about"], told["answer_url"]) == (mentor.pk, None)
        assert [(each["kind"], each["types"], each["stage"]) for each in told["happenings"]] == [
            ("pause", ["likepersonkurs"], None)
        ]

    def test_an_answer_says_what_was_answered(
        self, reminded: Notification, kari: User, mentor: Mentor, now: datetime
    ) -> None:
        record_answer(reminded, Answer.Choice.HELP, now=now)

        told = payload(Notification.objects.filter(kind="answer").latest("pk"), now)["data"]

        assert [(each["kind"], each["answer"]) for each in told["happenings"]] == [("answer", "help")]

    def test_only_an_app_pays_for_it(self) -> None:
        def make() -> dict[str, Any]:
            raise AssertionError("Nobody asked for it.")

        with EMAIL.connect() as post:
            post(envelope("liv@example.org", payload=make))

        assert len(mail.outbox) == 1


def blocks(language: str) -> list[str]:
    text = (PROJECT / "docs/webhooks.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.processes
def test_the_receiver_of_the_documentation_takes_each_message_once_and_none_of_a_stranger(
    settings: Any, tmp_path: Path
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = True
    [source] = blocks("python")
    (tmp_path / "receiver.py").write_text(source, encoding="utf-8")
    port = free_port()
    environment = {"PATH": os.defpath, "PORT": str(port), "SECRET": SECRET, "PYTHONIOENCODING": "utf-8"}
    url = f"http://127.0.0.1:{port}/"

    with running(sys.executable, str(tmp_path / "receiver.py"), env=environment) as receiver:
        receiver.wait_until(lambda: is_listening(port), what="its port")
        send(envelope(url))
        send(envelope(url))
        with pytest.raises(Refused, match="401"):
            send(envelope(url, secret=ANOTHER, message_id="<2@nattevakt.example>"))
        send(envelope(url, message_id="<3@nattevakt.example>", payload=lambda: {"data": {"subject": "Etterpå"}}))
        receiver.wait_for("Etterpå")

        said = [line for line in receiver.output.splitlines() if "POST" not in line]

    assert said == ["Blåbærsyltetøy", "Etterpå"]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
