"""How operations are alerted: real mail, real HTTP, and what happens when a route fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from cronjobs.models import Alert, Incident
from cronjobs.monitoring.alerts import AlertMessage, AlertSender, last_proofs, ping, routes
from mentors.record_text import verbatim
from tests.support.mail import HANG, MailServer, always, mail_server
from tests.support.processes import free_port
from tests.support.receiver import Answer, Receiver, http_receiver

# Apprise imports it as it loads its services, on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

LETTER = AlertMessage(subject="[Nattevakt] Night not run: hlf nightly, 22 Nov 00:30", body="Nobody ran it.\n")


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server, override_settings(**by_mail(server.port)):
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as receiver:
        yield receiver


def by_mail(port: int) -> dict[str, object]:
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": port,
        "OPERATIONS_EMAIL": "drift@example.org",
    }


def url_of(port: int) -> str:
    return f"json://vakt:hunter2@127.0.0.1:{port}/alarm"


def test_every_route_takes_the_letter(mail: MailServer, receiver: Receiver) -> None:
    with override_settings(ALERT_URLS=[url_of(receiver.port)]):
        errors = AlertSender().send(LETTER)

    assert errors == {"email": "", "apprise:json": ""}
    [arrived] = mail.received
    assert (arrived["To"], arrived["Subject"]) == ("drift@example.org", LETTER.subject)
    assert arrived.get_content().split() == LETTER.body.split()
    assert arrived["Auto-Submitted"] == "auto-generated"
    [request] = receiver.received
    assert json.loads(request.body)["title"] == LETTER.subject


def test_routes_have_names_without_an_address_and_no_two_the_same() -> None:
    urls = [url_of(1), url_of(2), "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alarm"]
    with override_settings(ALERT_URLS=urls, OPERATIONS_EMAIL="drift@example.org"):
        names = [route.name for route in routes()]

    assert names == ["email", "apprise:json", "apprise:json:2", "apprise:slack"]


def test_nobody_to_tell_is_no_route() -> None:
    with override_settings(ALERT_URLS=[], OPERATIONS_EMAIL=""):
        sender = AlertSender()

    assert (sender.routes, sender.has_given_up) == ([], False)


@pytest.mark.parametrize(
    ("status", "error"), [(503, "The gateway answered 503."), (403, "The gateway answered 403."), (200, "")]
)
def test_what_a_service_answers_is_kept(receiver: Receiver, status: int, error: str) -> None:
    receiver.always(status)

    with override_settings(ALERT_URLS=[url_of(receiver.port)]):
        assert AlertSender().send(LETTER) == {"apprise:json": error}


def test_a_way_that_is_shut_keeps_no_other_from_being_tried(receiver: Receiver) -> None:
    urls = [url_of(free_port()), "pigeon://loft.example.org", url_of(receiver.port)]
    with override_settings(ALERT_URLS=urls, **by_mail(free_port())):
        errors = AlertSender().send(LETTER)

    assert errors == {
        "email": "ConnectionRefusedError",
        "apprise:json": "The gateway does not answer.",
        "apprise:pigeon": "It is not an address that Apprise can read.",
        "apprise:json:2": "",
    }


def test_a_mail_server_that_says_no_is_quoted_by_its_number_only(mail: MailServer) -> None:
    mail.after_data = always("554 5.7.1 drift@example.org may not have this")

    assert AlertSender().send(LETTER) == {"email": "SMTPDataError 554"}


def test_what_hangs_is_given_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cronjobs.monitoring.alerts.TIMEOUT_SECONDS", 0.3)
    with mail_server(at_rcpt=always(HANG)) as server, override_settings(**by_mail(server.port)):
        assert AlertSender().send(LETTER) == {"email": "SMTPServerDisconnected"}


def test_a_route_that_failed_is_left_out_for_the_rest_of_the_round(receiver: Receiver) -> None:
    with override_settings(ALERT_URLS=[url_of(free_port()), url_of(receiver.port)]):
        sender = AlertSender()
        sender.send(LETTER)

    assert sender.send(LETTER) == {"apprise:json:2": ""}
    receiver.always(500)
    assert sender.send(LETTER) == {"apprise:json:2": "The gateway answered 500."}
    assert sender.has_given_up
    assert sender.send(LETTER) == {}


def test_no_secret_is_in_the_log_or_the_error(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.always(500)
    urls = [url_of(receiver.port), url_of(free_port()), "pigeon://vakt:hunter2@loft.example.org"]
    with override_settings(ALERT_URLS=urls, **by_mail(free_port())):
        errors = AlertSender().send(LETTER)
    ping(f"http://127.0.0.1:{free_port()}/ping/hunter2")

    logged = [record for record in caplog.records if record.name != "apprise"]  # which goes nowhere: config/logs.py
    said = str([record.msg for record in logged]) + str(errors)
    assert len(logged) == 5
    assert not [secret for secret in ("hunter2", "drift@", "127.0.0.1", "loft") if secret in said]


@pytest.mark.parametrize(("status", "heard"), [(200, True), (204, True), (500, False), (404, False)])
def test_a_heartbeat_is_heard_when_it_is_answered_well(receiver: Receiver, status: int, heard: bool) -> None:
    receiver.always(status)

    assert ping(f"{receiver.url}/ping/secret") is heard
    assert [request.path for request in receiver.received] == ["/ping/secret"]


def test_an_answer_to_a_heartbeat_that_never_ends_is_not_read(receiver: Receiver) -> None:
    receiver.answer = lambda _request: Answer(200, hangs=True)

    assert ping(f"{receiver.url}/ping/secret") is True


def test_a_heartbeat_that_nobody_takes_is_not_heard() -> None:
    assert ping(f"http://127.0.0.1:{free_port()}/") is False


@pytest.mark.django_db
def test_a_route_proves_itself_when_it_takes_an_alert() -> None:
    now = datetime(2026, 11, 21, 11, tzinfo=UTC)
    incident = Incident.objects.create(kind="test", key="test", title=verbatim("Test"), began_at=now, seen_at=now)
    for route, hours, error in [
        ("email", 0, ""),
        ("email", 2, ""),
        ("email", 3, "TimeoutError"),
        ("apprise:x", 1, "?"),
    ]:
        Alert.objects.create(
            incident=incident, event="raised", route=route, at=now + timedelta(hours=hours), error=error
        )

    assert last_proofs() == {"email": now + timedelta(hours=2)}
