"""A stand-in for Sentry's ingest: takes the envelopes that the real SDK sends, and reads what is in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.receiver import Receiver, Request, http_receiver

Item = tuple[str, dict[str, Any]]  # its type, and what it says


@dataclass(frozen=True)
class Ingest:
    """What has been sent so far, in its order."""

    receiver: Receiver

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self.receiver.port}/1"

    @property
    def items(self) -> list[Item]:
        return [item for request in self.receiver.received for item in parse_envelope(body_of(request))]

    @property
    def check_ins(self) -> list[dict[str, Any]]:
        return [said for kind, said in self.items if kind == "check_in"]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [said for kind, said in self.items if kind == "event"]

    @property
    def text(self) -> str:
        """Everything as it was written, to look for what must not be there."""
        return "\n".join(body_of(request).decode() for request in self.receiver.received)


@contextmanager
def sentry_ingest() -> Iterator[Ingest]:
    """Be Sentry for the time of a block."""
    with http_receiver() as receiver:
        receiver.always(200)
        yield Ingest(receiver)


def body_of(request: Request) -> bytes:
    assert request.path == "/api/1/envelope/", request.path
    assert "sentry_key=key" in request.headers["x-sentry-auth"]
    assert request.headers["content-encoding"] == "gzip"
    return gzip.decompress(request.body)


def parse_envelope(body: bytes) -> Iterator[Item]:
    """Yield the items: a line of JSON for the envelope; then, for each, one for its header, and its payload."""
    header, _, rest = body.partition(b"\n")
    assert isinstance(json.loads(header), dict)
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        item = json.loads(line)
        length = item.get("length", rest.find(b"\n") if b"\n" in rest else len(rest))
        payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
        yield item["type"], json.loads(payload)
