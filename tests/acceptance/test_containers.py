"""The image, the compose file and the Procfile: linted, consistent, and every command in them really run.

There is no Docker here. The commands are taken from the files and run as they stand, in the environment that the files
give them; only the servers' addresses and the ports are those of the test.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.utils import timezone
from ruamel.yaml import YAML

from config.servers import Redis
from cronjobs.models import Component, Heartbeat
from tests.support.processes import PROJECT, SCRIPTS, Process, empty_broker, free_port, live_environment, running

COMPOSE: dict[str, Any] = YAML(typ="safe").load(PROJECT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APP_SERVICES = ("migrate", "web", "worker", "beat", "watchdog", "flower")
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
PROCFILE = dict(line.split(": ", 1) for line in (PROJECT / "Procfile").read_text().splitlines())
VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\})")

DOT_ENV = {
    "SECRET_KEY": "only for this test",
    "ALLOWED_HOSTS": ".nattevakt.example.org",
    "POSTGRES_PASSWORD": "unused",
    "REDIS_PASSWORD": "of-this-test",
    "EMAIL_URL": "memory:",
    "DEFAULT_FROM_EMAIL": "nattevakt@example.org",
    "OPERATIONS_EMAIL": "operations@example.org",
    "FLOWER_BASIC_AUTH": "vakt:of-this-test",
    "TLS_FOLDER": "/unused",
}

processes = pytest.mark.processes
live = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
    ],
    ids=["Dockerfile", "docker-compose.yml"],
)
def test_it_has_no_lint(command: tuple[str, ...]) -> None:
    program, *arguments = command
    done = subprocess.run([SCRIPTS / program, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_example_names_exactly_the_variables_that_the_compose_file_takes() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    taken = {found["name"]: found[0] for found in VARIABLE.finditer(text) if found["name"]}
    passed_on = {name for name, value in SERVICES["web"]["environment"].items() if value is None}
    required = {name for name, form in taken.items() if ":?" in form}

    example = (PROJECT / ".env.example").read_text()

    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == required
    assert set(re.findall(r"^#(\w+)=", example, re.MULTILINE)) == (taken.keys() | passed_on) - required
    assert DOT_ENV.keys() == required


@pytest.mark.parametrize("name", APP_SERVICES)
def test_the_app_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER [1-9]\d+:", DOCKERFILE, re.MULTILINE)


@live
def test_what_gets_into_the_image_is_enough(tmp_path: Path) -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    taken = [line[1:] for line in lines if line.startswith("!")]
    left_out = [line for line in lines if line and line[0] not in "*!#"]
    for name in taken:
        (shutil.copytree if (PROJECT / name).is_dir() else shutil.copy)(PROJECT / name, tmp_path / name)
    for name in left_out:
        (tmp_path / name).unlink(missing_ok=True)

    done = run(("python", "manage.py", "migrate", "--check"), env=live_environment(), cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_the_build_can_collect_the_static_files_without_any_server() -> None:
    step = re.search(r"^RUN (SECRET_KEY=.*\\\n.* collectstatic .*)$", DOCKERFILE, re.MULTILINE)
    assert step
    bare = {"PATH": f"{SCRIPTS}{os.pathsep}{os.defpath}"}

    done = run(("sh", "-c", step[1] + " --dry-run"), env=bare)

    assert done.returncode == 0, done.stderr
    assert "static files copied" in done.stdout


def test_redis_keeps_what_it_is_given_and_asks_for_the_password(tmp_path: Path) -> None:
    service = SERVICES["redis"]
    port = free_port()
    *shell, script = (interpolate(component) for component in service["command"])
    server = Redis(home=tmp_path, password="").program
    script = script.replace("redis-server -", f"{shlex.quote(str(server))} - --port {port}")
    script = script.replace("dir /data", f"dir {tmp_path}")
    environment = {"PATH": os.defpath} | variables(service)

    with running(*shell, script, env=environment) as process:
        process.wait_for("eady to accept connections")
        with redis.Redis(port=port, password=DOT_ENV["REDIS_PASSWORD"]) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert DOT_ENV["REDIS_PASSWORD"] not in " ".join(process.members()[0].cmdline())
        assert process.stop() == 0


@processes
@live
def test_migrate_ends_with_success() -> None:
    service = SERVICES["migrate"]

    done = run(service["command"], env=environment_of(service))

    assert done.returncode == 0, done.stderr
    assert "No migrations to apply" in done.stdout


@processes
@live
@pytest.mark.parametrize("source", ["docker-compose.yml", "Procfile"])
def test_web_becomes_healthy_and_stops(source: str) -> None:
    port = free_port()
    check = re.search(r"HEALTHCHECK.*\\\n  CMD (\[.*\])", DOCKERFILE)
    assert check
    probe = [component.replace(":8000", f":{port}") for component in json.loads(check[1])]

    with started("web", source, port=port) as web:
        wait_until_healthy(web, probe, begins="Booting worker")

        assert http_status(port, "/healthz", Host="nattevakt.example.org") == 200
        assert http_status(port, "/readyz", Host="nattevakt.example.org") == 200
        assert http_status(port, "/healthz", Host="elsewhere.example.org") == 400
        assert web.stop() == 0
    assert run(probe, env=environment_of(SERVICES["web"])).returncode == 1


@processes
@live
@pytest.mark.parametrize("source", ["docker-compose.yml", "Procfile"])
def test_worker_becomes_healthy_and_stops(source: str) -> None:
    empty_broker()
    probe = shell_probe(SERVICES["worker"])

    with started("worker", source) as worker:
        wait_until_healthy(worker, probe, begins=" ready.")

        (queues,) = (current_app.control.inspect(limit=1, timeout=10).active_queues() or {}).values()
        assert {queue["name"] for queue in queues} == {"night", "delivery"}
        assert worker.stop() == 0
        assert "Cold shutdown" in worker.output  # REMAP_SIGTERM has arrived
    silent = [component.replace("--timeout=10", "--timeout=1") for component in probe]
    assert run(silent, env=environment_of(SERVICES["worker"])).returncode != 0


@processes
@live
@pytest.mark.parametrize("source", ["docker-compose.yml", "Procfile"])
def test_beat_becomes_healthy_by_turning_and_stops(source: str) -> None:
    empty_broker()
    service = SERVICES["beat"]
    probe = [interpolate(component) for component in service["healthcheck"]["test"][1:]]

    assert run(probe, env=environment_of(service)).returncode == 1
    with started("beat", source) as beat:
        wait_until_healthy(beat, probe, begins="beat: Starting")
        assert beat.stop() == 0

    Heartbeat.objects.filter(component=Component.BEAT).update(at=timezone.now() - timedelta(minutes=4))
    assert run(probe, env=environment_of(service)).returncode == 1


@processes
@live
@pytest.mark.parametrize("source", ["docker-compose.yml", "Procfile"])
def test_watchdog_becomes_healthy_by_its_first_round_and_stops(source: str) -> None:
    service = SERVICES["watchdog"]
    probe = [interpolate(component) for component in service["healthcheck"]["test"][1:]]

    assert run(probe, env=environment_of(service)).returncode == 1
    with started("watchdog", source) as watchdog:
        wait_until_healthy(watchdog, probe, begins="watchdog started")

        assert "watchdog started" in watchdog.output
        assert watchdog.stop() == 0

    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=11))
    assert run(probe, env=environment_of(service)).returncode == 1


@processes
@live
@pytest.mark.parametrize("source", ["docker-compose.yml", "Procfile"])
def test_flower_becomes_healthy_asks_for_the_login_and_stops(source: str) -> None:
    port = free_port()
    probe = [
        interpolate(component).replace(":5555", f":{port}")
        for component in SERVICES["flower"]["healthcheck"]["test"][1:]
    ]
    login = base64.b64encode(DOT_ENV["FLOWER_BASIC_AUTH"].encode()).decode()

    with started("flower", source, port=port) as flower:
        wait_until_healthy(flower, probe, begins="Visit me at")

        assert http_status(port, "/workers") == 401
        assert http_status(port, "/api/workers") == 401
        assert http_status(port, "/workers", Authorization="Basic " + login) == 200
        assert flower.stop() == 0


@processes
@live
@pytest.mark.parametrize("login", [None, ""], ids=["unset", "empty"])
def test_flower_does_not_start_without_a_login(login: str | None) -> None:
    environment = environment_of(SERVICES["flower"]) | {"FLOWER_PORT": str(free_port())}
    del environment["FLOWER_BASIC_AUTH"]

    given = environment if login is None else environment | {"FLOWER_BASIC_AUTH": login}
    done = run(("sh", "-c", PROCFILE["flower"]), env=given)

    assert done.returncode != 0
    assert "FLOWER_BASIC_AUTH" in done.stderr
    # Compose refuses likewise: `:?` is for what is unset or empty.
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_BASIC_AUTH:?")


def started(name: str, source: str, *, port: int = 0) -> AbstractContextManager[Process]:
    """Start a process as the compose file or the Procfile says, on a port of the test."""
    environment = environment_of(SERVICES[name])
    if source == "Procfile":
        environment.pop("REMAP_SIGTERM", None)
        ports = {"WEB_PORT": str(port), "FLOWER_PORT": str(port)}
        return running("sh", "-c", PROCFILE[name], env=environment | ports)
    command = [interpolate(component) for component in SERVICES[name]["command"]]
    ours = {
        "--bind=0.0.0.0:8000": f"--bind=127.0.0.1:{port}",
        "--address=0.0.0.0": "--address=127.0.0.1",
        "--port=5555": f"--port={port}",
    }
    return running(*[ours.get(component, component) for component in command], env=environment)


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Return what Compose would give the service, with this test's servers in it."""
    given = variables(service)
    for address in ("DATABASE_URL", "REDIS_URL"):
        given.pop(address, None)
    return live_environment(**given)


def variables(service: Mapping[str, Any]) -> dict[str, str]:
    return {name: interpolate(value) for name, value in service["environment"].items() if value is not None}


def interpolate(text: str) -> str:
    """Replace `${…}` and `$$` as Compose does."""

    def value(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        return DOT_ENV.get(found["name"], found["default"] or "")

    return VARIABLE.sub(value, text)


def shell_probe(service: Mapping[str, Any]) -> list[str]:
    kind, script = service["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return ["sh", "-c", interpolate(script)]


def run(command: Sequence[str], *, env: Mapping[str, str], cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0], path=env["PATH"])
    assert program, f"{command[0]} is not installed"
    return subprocess.run([program, *command[1:]], env=env, cwd=cwd, capture_output=True, text=True, check=False)


def wait_until_healthy(process: Process, probe: Sequence[str], *, begins: str) -> None:
    """Wait until the probe passes, which is asked only from when the process has begun its work: asking costs much."""
    env = environment_of(SERVICES["web"])
    process.wait_for(begins)
    process.wait_until(lambda: run(probe, env=env).returncode == 0, what=f"passing {' '.join(probe)}")


def http_status(port: int, path: str, **headers: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  http, as written above
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
