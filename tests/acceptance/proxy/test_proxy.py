"""The service behind its proxy: slow, large and many requests stop nobody, and nothing leaks (ADR 26)."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from mentors.models import Chapter
from tests.acceptance.proxy.client import ATTACKER, Answer, ask, connect, slow_connections
from tests.acceptance.proxy.service import HOST, Proxied, find_missing, proxied
from tests.support.processes import PATIENCE

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(bool(find_missing()), reason=find_missing()),
]

IMPORT = "/admin/certifications/rosterupload/import/"
LOGIN, API_LOGIN = "/admin/login/", "/api/v1/auth/login"
PAGES = ("/hlf/oslo/", LOGIN, "/api/v1/schema")
USERS, PAUSE_SECONDS = 200, 10.0  # between two pages of somebody who works normally: twenty a second for all
FORTY_MEGABYTES = 40_000_000


@pytest.fixture
def service(oslo: Chapter, tmp_path: Path) -> Iterator[Proxied]:
    with proxied(tmp_path, METRICS_TOKEN="of-this-test") as started:
        yield started


class TestNobodyIsHeldUp:
    @pytest.mark.parametrize("path", [pytest.param(LOGIN, marks=pytest.mark.canary), IMPORT, "/api/v1/mentors"])
    def test_by_a_hundred_slow_senders_and_a_large_upload(
        self, service: Proxied, path: str, record_property: Any
    ) -> None:
        warm_up(service)
        count = 20 if path == IMPORT else 100  # more of one address are refused there at once
        with slow_connections(service, count, path=path) as slow:
            upload = send_head(service, IMPORT, length=FORTY_MEGABYTES)
            healthy = [ask(service, "/healthz") for _ in range(30)]
            waiting = slow.count_waiting()
            written = sum(file.stat().st_size for file in (service.folder / "body").rglob("*") if file.is_file())

        assert {answer.status for answer in healthy} == {200}
        assert waiting == count  # so all was answered while they were there
        assert upload.startswith("HTTP/1.1 413 ")
        assert written < 1_000_000
        report(record_property, f"healthz beside {count} slow senders to {path}", healthy)

    def test_by_any_of_these_while_two_hundred_others_work(self, service: Proxied, record_property: Any) -> None:
        warm_up(service)
        with slow_connections(service, 100, path=LOGIN) as slow, ThreadPoolExecutor(USERS + 1) as crowd:
            others = [crowd.submit(work, service, number) for number in range(USERS)]
            upload = send_head(service, IMPORT, length=FORTY_MEGABYTES)
            healthy = [ask(service, "/healthz")]
            while wait(others, timeout=0.25).not_done:  # as a monitor does, and no more often than one may
                healthy.append(ask(service, "/healthz"))
            worked = [answer for other in others for answer in other.result()]
            waiting = slow.count_waiting()

        assert {answer.status for answer in healthy} == {200}
        assert {answer.status for answer in worked} == {200}
        assert waiting == 100
        assert upload.startswith("HTTP/1.1 413 ")
        report(record_property, f"healthz beside {USERS} others", healthy)
        report(record_property, "their pages", worked)


class TestLimits:
    def test_an_address_may_not_guess_passwords_for_long(self, service: Proxied) -> None:
        def guess(_number: int) -> Answer:
            return ask(service, API_LOGIN, method="POST", source=ATTACKER, body=b"{}", Content_Type="application/json")

        with ThreadPoolExecutor(8) as crowd:
            answers = list(crowd.map(guess, range(300)))

        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert json.loads(refused[0].body)["errors"][0]["code"] == "throttled"
        assert refused[0].headers["Retry-After"] == "10"
        assert ask(service, API_LOGIN, method="POST", body=b"{}", Content_Type="application/json").status == 400
        assert ask(service, "/healthz", source=ATTACKER).status == 200

    def test_a_large_body_is_refused_by_its_length_for_an_app_and_for_people(self, service: Proxied) -> None:
        app, people = (send_head(service, path, length=1_100_000) for path in ("/api/v1/mentors", LOGIN))

        assert app.startswith("HTTP/1.1 413 ")
        assert "Content-Type: application/json" in app
        assert json.loads(app.partition("\r\n\r\n")[2])["errors"][0]["code"] == "request_too_large"
        assert people.startswith("HTTP/1.1 413 ")
        assert "Content-Type: text/plain; charset=utf-8" in people
        assert "The request is larger than any request here needs to be." in people

    @pytest.mark.parametrize("length", [1_010_000, 5_900_000])
    def test_a_roster_of_somebody_who_may_not_import_gets_no_further_than_the_proxy_and_is_refused(
        self, service: Proxied, length: int
    ) -> None:
        answer = ask(service, IMPORT, method="POST", body=b"x" * length, Content_Type="text/csv")

        assert answer.status == 413

    @pytest.mark.parametrize("path", ["/api/v1/mentors", LOGIN, IMPORT])
    def test_a_body_that_does_not_say_how_long_it_is_is_refused(self, service: Proxied, path: str) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"

        answer = send(service, head)

        assert answer.startswith("HTTP/1.1 411 ")
        assert "send Content-Length." in answer if path.startswith("/api/") else "how long its body is" in answer


class TestWhoAsks:
    def test_a_client_cannot_be_another_one(self, oslo: Chapter, tmp_path: Path) -> None:
        with proxied(tmp_path, PAGE_RATE_ADDRESS="3/hour") as service:
            forged = [ask(service, "/hlf/oslo/", X_Forwarded_For=f"192.0.2.{number}").status for number in range(5)]
            other = ask(service, "/hlf/oslo/", source="127.0.0.9").status

        assert forged == [200, 200, 200, 429, 429]
        assert other == 200

    def test_a_client_cannot_say_how_it_has_come(self, service: Proxied) -> None:
        answer = ask(
            service, "/hlf/oslo/", X_Forwarded_Proto="http", X_Forwarded_Host="evil.example", Forwarded="host=evil"
        )

        assert answer.status == 200  # plain HTTP would be redirected
        assert "evil" not in answer.body
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")

    def test_plain_http_is_led_to_https(self, service: Proxied) -> None:
        answer = plain(service.http, "/hlf/oslo/?language=nn")

        assert answer.startswith("HTTP/1.1 308 ")
        assert f"Location: https://{HOST}/hlf/oslo/?language=nn\r\n" in answer

    def test_old_tls_is_refused_and_no_version_is_told(self, service: Proxied) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)), pytest.warns(DeprecationWarning, match="TLS"):
            connect(service, maximum_version=ssl.TLSVersion.TLSv1_1)

        assert ask(service, "/healthz").headers["Server"] == "nginx"


class TestWhatIsNotTold:
    def test_metrics_and_readiness_are_for_this_machine(self, service: Proxied) -> None:
        token = "Authorization: Bearer of-this-test\r\n"

        assert ask(service, "/metrics", Authorization="Bearer of-this-test").status == 404
        assert ask(service, "/healthz/nightly").status in (200, 503)
        assert plain(service.monitors, "/metrics", token).startswith("HTTP/1.1 200 ")
        assert plain(service.monitors, "/metrics").startswith("HTTP/1.1 401 ")
        assert plain(service.monitors, "/readyz").startswith("HTTP/1.1 200 ")
        assert plain(service.monitors, LOGIN).startswith("HTTP/1.1 404 ")

    def test_the_log_has_neither_addresses_nor_the_keys_in_links_whatever_goes_wrong(self, service: Proxied) -> None:
        secret = "a-secret-of-a-link"
        links = [f"/{kind}/{secret}/" for kind in ("a", "p")]
        links += [f"/c/{secret}/nattevakt.ics", f"/admin/password/MQ/{secret}/", f"/admin/invitation/MQ/{secret}/"]
        for link in links:
            ask(service, link)
            send_head(service, link, length=FORTY_MEGABYTES)
            send(service, f"POST {link} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n")
        send(service, f"GET /a/{secret}/ NONSENSE\r\n\r\n")
        service.web.kill()
        away = [ask(service, link).status for link in links]

        lines = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
        assert away == [503] * len(links)
        assert len(lines) >= 4 * len(links)
        assert {line["kind"] for line in lines if line["status"] in (404, 503)} == {"link"}
        assert secret not in service.log()
        assert "127." not in service.log()
        assert secret not in service.web.output

    def test_when_web_is_away_an_app_is_told_in_the_shape_of_its_errors(self, service: Proxied) -> None:
        service.web.kill()

        app, page = ask(service, "/api/v1/me"), ask(service, "/hlf/oslo/")

        assert (app.status, json.loads(app.body)["errors"][0]["code"]) == (503, "try_again")
        assert (page.status, page.headers["Retry-After"]) == (503, "5")
        assert "The service does not answer just now." in page.body


def warm_up(service: Proxied) -> None:
    """Let each process of web answer each page once: the first time costs seconds, of which this is not about."""
    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(lambda path: ask(service, path), [*PAGES, "/healthz"] * 4))


def work(service: Proxied, number: int) -> list[Answer]:
    """Look at some pages, now and then, as somebody at an address of their own."""
    source = f"127.1.{number // 100}.{number % 100 + 1}"
    ended = threading.Event()  # which nobody sets
    ended.wait(PAUSE_SECONDS * number / USERS)
    answers = []
    for path in PAGES:
        answers.append(ask(service, path, source=source))
        ended.wait(PAUSE_SECONDS - answers[-1].seconds)
    return answers


def send_head(service: Proxied, path: str, *, length: int) -> str:
    """Announce a body, and return what is answered before any of it is sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
    return send(service, head)


def send(service: Proxied, head: str) -> str:
    with connect(service, source=ATTACKER) as connection:
        connection.sendall(head.encode())
        return read_all(connection)


def plain(port: int, path: str, *headers: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{''.join(headers)}\r\n"
        connection.sendall(head.encode())
        return read_all(connection)


def read_all(connection: socket.socket) -> str:
    said = b""
    while part := connection.recv(65536):
        said += part
        head, _, body = said.partition(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if length and len(body) >= int(length[0].partition(b":")[2]):
            break
    return said.decode()


def report(record_property: Any, what: str, answers: list[Answer]) -> None:
    """Say how long it took. One second is what is asked for; a slow machine is no fault of the service."""
    seconds = sorted(answer.seconds for answer in answers)
    record_property(what, seconds)
    print(
        f"{what}: {len(seconds)} answers, half of them within {median(seconds):.2f} s, all within {seconds[-1]:.2f} s"
    )
