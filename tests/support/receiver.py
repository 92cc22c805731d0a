"""A real HTTP server in a thread, which keeps what it is sent and answers as a test asks it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]  # their names in small letters
    body: bytes
    client: tuple[str, int]  # a connection has one


@dataclass(frozen=True)
class Answer:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False  # after this much of it


HANG = Answer(hangs=True, status=0)


@dataclass
class Receiver:
    answer: Callable[[Request], Answer] = lambda _request: Answer()
    received: list[Request] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def always(self, status: int, **headers: str) -> None:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _request: Answer(status, headers)


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """Take HTTP for the time of a block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, self.client_address)
            receiver.received.append(request)
            self._answer(receiver.answer(request))

        do_GET = do_POST  # noqa: N815

        def _answer(self, answer: Answer) -> None:
            self.close_connection = answer.hangs
            if answer.status:
                length = {"Content-Length": str(10**9 if answer.hangs else len(answer.body))}
                self.send_response(answer.status)
                for name, value in (length | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
            if answer.hangs:
                receiver.released.wait(30)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()
