"""One request to an organisation's app: signed, and what its answer means."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from time_machine import Traveller

from notifications.channel import Refused, TryLater, Unreachable
from notifications.channels.webhook import CHANNEL
from tests.conftest import NOW
from tests.support.processes import free_port
from tests.support.receiver import HANG, Receiver
from tests.support.receiver import Answer as Reply
from tests.support.webhooks import ANOTHER, SECRET, envelope, refusal, send


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
    def test_a_refusal_is_between_the_app_and_us_and_may_pass(self, app: Receiver, status: int) -> None:
        app.always(status)

        error = refusal(app.url)

        assert isinstance(error, TryLater)
        assert error.fault == "ourselves"
        assert error.reason.in_english() == f"The app answered {status}."

    def test_410_says_that_the_app_is_gone(self, app: Receiver) -> None:
        app.always(410)

        error = refusal(app.url)

        assert isinstance(error, Refused)
        assert error.host_is_gone

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, app: Receiver, status: int) -> None:
        app.always(status, Location=f"{app.url}/elsewhere")

        assert isinstance(refusal(app.url), TryLater)
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
    def test_it_may_say_by_a_date_when_to_come_again(
        self, app: Receiver, clock: Traveller, minutes: int, seconds: int
    ) -> None:
        clock.move_to(NOW, tick=False)
        at = NOW + timedelta(minutes=minutes)
        app.always(503, Retry_After=format_datetime(at, usegmt=True))

        error = refusal(app.url)

        assert isinstance(error, TryLater)
        assert error.after_seconds == seconds

    def test_an_answer_without_end_holds_nobody_up(self, app: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(CHANNEL, "read_seconds", 2)  # who reads on waits for so long, and then fails
        app.answer = lambda request: Reply(200, body=b"x" * (100_000 if request.path == "/long" else 0), hangs=True)

        send(envelope(f"{app.url}/long"), envelope(f"{app.url}/silent"))

        assert len(app.received) == 2

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

        error = refusal(app.url)

        assert isinstance(error, Unreachable)
        assert error.reason.in_english() == "ReadTimeout"  # and not that the app has ended it

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

        assert refusal(f"{app.url}/secret-path").reason.in_english() == "The app answered 500."
        assert refusal(f"http://127.0.0.1:{free_port()}/secret-path").reason.in_english() == "ConnectionError"
