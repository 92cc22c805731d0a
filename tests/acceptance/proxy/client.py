"""Clients of the proxy, good and bad, each from an address of its own in 127.0.0.0/8."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tests.acceptance.proxy.service import HOST, Proxied
from tests.support.processes import PATIENCE

ATTACKER = "127.6.6.6"
DRIP_SECONDS = 2.0  # shorter than the proxy's patience with a pause


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str
    seconds: float


def ask(
    at: Proxied, path: str, *, method: str = "GET", source: str = "127.0.0.1", body: bytes | None = None, **headers: str
) -> Answer:
    """Ask over HTTPS by the service's name, and wait patiently."""
    began = monotonic()
    connection = http.client.HTTPConnection(HOST, timeout=PATIENCE)
    connection.sock = connect(at, source=source)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=named)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return Answer(status=response.status, headers=dict(response.headers), body=text, seconds=monotonic() - began)


def connect(at: Proxied, *, source: str = "127.0.0.1", **options: Any) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(at.certificate))
    for name, value in options.items():
        setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", at.https), timeout=PATIENCE, source_address=(source, 0))
    return context.wrap_socket(plain, server_hostname=HOST)


class SlowConnections:
    """Requests whose bodies come a byte at a time, of each from the moment that it has begun."""

    def __init__(self) -> None:
        self.connections: list[ssl.SSLSocket] = []
        self._ended = threading.Event()
        self._dripping = threading.Thread(target=self._drip)
        self._dripping.start()

    def count_waiting(self) -> int:
        """Send no more, and count those that have got no answer and were not hung up on."""
        self.end()
        return sum(map(_is_waiting, self.connections))

    def end(self) -> None:
        self._ended.set()
        self._dripping.join()

    def _drip(self) -> None:
        while not self._ended.wait(DRIP_SECONDS):
            for each in list(self.connections):
                each.sendall(b"x")


@contextmanager
def slow_connections(at: Proxied, count: int, *, path: str) -> Iterator[SlowConnections]:
    """Begin as many requests, and let them go on for as long as the block lasts."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n".encode()
    )
    with ExitStack() as open_ones:
        slow = SlowConnections()
        for _ in range(count):
            each = open_ones.enter_context(connect(at, source=ATTACKER))
            each.sendall(head)
            slow.connections.append(each)
        open_ones.callback(slow.end)
        yield slow


def _is_waiting(connection: ssl.SSLSocket) -> bool:
    connection.setblocking(False)
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    return False
