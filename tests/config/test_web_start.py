"""The web server starts whatever is away: it needs no database for it, and waits for its address."""

from __future__ import annotations

import socket

import pytest
import requests

from tests.support.processes import free_port, live_environment, running

COMMAND = ("gunicorn", "config.wsgi", "--config=python:config.gunicorn", "--workers=1", "--no-control-socket")

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_it_waits_for_an_address_that_a_killed_server_still_holds_for_as_long_as_that_takes() -> None:
    port = free_port()
    bind = f"--bind=127.0.0.1:{port}"
    with (
        socket.create_server(("127.0.0.1", port)) as holder,
        running(*COMMAND, bind, env=live_environment(ALLOWED_HOSTS="*")) as server,
    ):
        # More often than gunicorn itself tries.
        server.wait_until(lambda: server.output.count("address taken") > 6, what="waiting for it")
        holder.close()
        server.wait_for("Booting worker")

        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200


def test_it_starts_without_a_database_and_says_that_it_is_not_ready() -> None:
    port, nobody = free_port(), free_port()
    environment = live_environment(ALLOWED_HOSTS="*", DATABASE_URL=f"postgres://x:y@127.0.0.1:{nobody}/z")
    with running(*COMMAND, f"--bind=127.0.0.1:{port}", env=environment) as server:
        server.wait_for("Booting worker")

        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
        assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 503
