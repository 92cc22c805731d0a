"""`make up` says what stands in its way, before it prints an address."""

from __future__ import annotations

import socket

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings


@pytest.mark.parametrize("variable", ["WEB_PORT", "FLOWER_PORT"])
def test_a_port_at_which_somebody_else_answers_is_refused_with_the_way_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    settings.DEBUG = True
    monkeypatch.setenv("WEB_PORT", "1")
    monkeypatch.setenv("FLOWER_PORT", "1")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        monkeypatch.setenv(variable, str(port))

        with pytest.raises(
            CommandError, match=f"Port {port} is taken. Choose another one: {variable}={port + 1} make up"
        ):
            call_command("up")

    assert capsys.readouterr().out == ""
