"""The receiver of docs/webhooks.md."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from notifications.channel import TryLater
from tests.support.processes import free_port, running
from tests.support.webhooks import ANOTHER, SECRET, blocks, envelope, send


@pytest.mark.processes
def test_the_receiver_of_the_documentation_takes_each_message_once_and_none_of_a_stranger(
    settings: Any, tmp_path: Path
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = True
    [source] = blocks("python")
    (tmp_path / "receiver.py").write_text(source, encoding="utf-8")
    port = free_port()
    # It refuses old messages, so it has to live in the time of these tests, which may be moved.
    time = {name: value for name, value in os.environ.items() if name == "PYTHONPATH" or name.startswith("MOVED_CLOCK")}
    environment = time | {"PATH": os.defpath, "PORT": str(port), "SECRET": SECRET, "PYTHONIOENCODING": "utf-8"}
    url = f"http://127.0.0.1:{port}/"

    with running(sys.executable, str(tmp_path / "receiver.py"), env=environment) as receiver:
        receiver.wait_until(lambda: is_listening(port), what="its port")
        send(envelope(url))
        send(envelope(url))
        with pytest.raises(TryLater, match="401"):
            send(envelope(url, secrets=(ANOTHER,), message_id="<2@nattevakt.example>"))
        send(envelope(url, message_id="<3@nattevakt.example>", payload=lambda: {"data": {"subject": "Etterpå"}}))
        receiver.wait_for("Etterpå")

        said = [line for line in receiver.output.splitlines() if "POST" not in line]

    assert said == ["Blåbærsyltetøy", "Etterpå"]


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
