"""In production an app is outside, and is spoken to in secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from notifications import record_text
from notifications.channel import Refused, Unreachable
from notifications.channels import webhook
from notifications.channels.webhook import CHANNEL
from tests.support.webhooks import refusal


@contextmanager
def listener() -> Iterator[socket.socket]:
    """Somebody inside our own network."""
    with closing(socket.create_server(("127.0.0.1", 0))) as inside:
        inside.setblocking(False)  # whoever has knocked waits in its queue already
        yield inside


class TestPrivateHosts:
    """In production an app is outside, and is spoken to in secret."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"])
    def test_nobody_inside_is_knocked_at(self, host: str) -> None:
        with listener() as inside:
            error = refusal(f"https://{host}:{inside.getsockname()[1]}/")

            assert isinstance(error, Refused)
            assert error.reason == record_text.NOT_PUBLIC()
            with pytest.raises(BlockingIOError):
                inside.accept()

    @pytest.mark.parametrize(
        "host",
        [
            "10.0.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "[fd00::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            # An IPv4 address inside, by each way in which one stands in an IPv6 address.
            "[::10.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:0:10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::10.0.0.1]",
            "[2002:a00:1::]",
            "[2001:0:4136:e378:8000:63bf:f5ff:fffe]",
            "[2a00:1450::5efe:10.0.0.1]",
            "[2a00:1450::200:5efe:127.0.0.1]",
            "192.0.0.8",
            "192.88.99.1",
            "[3fff::1]",
        ],
    )
    def test_an_address_that_is_not_public_is_refused(self, host: str) -> None:
        assert refusal(f"https://{host}/").reason == record_text.NOT_PUBLIC()

    @pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::93.184.215.14"])
    def test_an_address_outside_is_public(self, address: str) -> None:
        assert webhook._is_public(address)

    def test_a_host_with_one_address_inside_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As its DNS would have it: which of them is connected to would be left to chance."""
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.215.14", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

        assert refusal("https://app.example.org/").reason == record_text.NOT_PUBLIC()

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
        assert refusal(f"{scheme}://app.example.org/").reason == record_text.NOT_HTTPS()
