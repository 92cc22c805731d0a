"""Compose, the proxy's configuration and the settings agree. tests/acceptance/proxy runs the proxy itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from ruamel.yaml import YAML

from mentors.rest.exceptions import LengthRequired, RequestTooLarge

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe").load(PROJECT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROXY = SERVICES["proxy"]
FOLDER = PROJECT / "config" / "proxy"
CONF = re.sub(r"#.*", "", (FOLDER / "nginx.conf").read_text())
FOR_ALL = {"8443", "8080"}
FOR_THIS_MACHINE = {"8000", "5555"}
REFUSALS = sorted((FOLDER / "refusals").iterdir())


def listens() -> set[str]:
    return set(re.findall(r"listen (\d+)", CONF))


def megabytes(name: str) -> list[int]:
    return [int(size) for size in re.findall(rf"{name} (\d+)m;", CONF)]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_only_the_proxy_is_published_and_only_https_to_everybody() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    inside = {port.rpartition(":")[2]: port.startswith("127.0.0.1:") for port in PROXY["ports"]}

    assert published == {"proxy"}
    assert inside == dict.fromkeys(FOR_ALL, False) | dict.fromkeys(FOR_THIS_MACHINE, True)
    assert listens() == FOR_ALL | FOR_THIS_MACHINE


def test_the_proxy_reaches_what_it_passes_on_to_and_neither_database_nor_redis() -> None:
    passed_on = dict(re.findall(r"set \$\w+ http://(\w+):(\d+);", CONF))
    reached = {name for name, service in SERVICES.items() if set(service.get("networks", [])) & set(PROXY["networks"])}

    assert passed_on == {"web": "8000", "flower": "5555"}
    assert "--bind=0.0.0.0:8000" in SERVICES["web"]["command"]
    assert "--port=5555" in SERVICES["flower"]["command"]
    assert reached == {"proxy", "web", "flower"}
    assert "default" not in PROXY["networks"]


def test_the_proxy_is_given_what_its_configuration_names_and_writes_nowhere_else() -> None:
    mounted = {volume.split(":")[-2]: volume for volume in PROXY["volumes"]}
    written = set(re.findall(r"(?:_temp_path|pid) (\S+);", CONF))

    assert set(re.findall(r"(/etc/\w+)", CONF)) == set(mounted)
    assert all(volume.endswith(":ro") for volume in mounted.values())
    assert mounted["/etc/nattevakt"].startswith("./config/proxy:")
    assert PROXY["command"] == ["-c", "/etc/nattevakt/nginx.conf"]
    assert PROXY["read_only"] is True
    assert all(path.startswith("/tmp/") for path in written)  # noqa: S108  the container's own
    assert [tmpfs.partition(":")[0] for tmpfs in PROXY["tmpfs"]] == ["/tmp"]  # noqa: S108


def test_one_addresss_requests_fit_into_its_memory() -> None:
    ordinary, roster = sorted(megabytes("client_max_body_size"))
    at_once, uploads = (int(re.findall(rf"limit_conn {zone} (\d+);", CONF)[0]) for zone in ("at_once", "uploads"))
    room = int(PROXY["tmpfs"][0].partition("size=")[2].removesuffix("m"))

    assert at_once * ordinary + uploads * roster < room < int(PROXY["mem_limit"].removesuffix("m"))


def test_it_lets_through_what_the_service_takes_and_little_more() -> None:
    ordinary, roster = sorted(megabytes("client_max_body_size"))
    location = CONF.partition("client_max_body_size 6m;")[0].rpartition("location = ")[2].split()[0]

    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE <= ordinary * 2**20 < settings.DATA_UPLOAD_MAX_MEMORY_SIZE * 1.1
    assert settings.ROSTER_MAX_BYTES <= roster * 2**20 < settings.ROSTER_MAX_BYTES * 1.1
    assert location == "/admin/certifications/rosterupload/import/"


def test_it_waits_for_longer_than_the_database_works() -> None:
    longest = min(map(seconds, re.findall(r"proxy_read_timeout (\w+);", CONF)))

    assert longest > settings.WEB_STATEMENT_SECONDS > settings.WEB_LOCK_SECONDS


def test_what_clients_say_of_themselves_is_replaced_everywhere() -> None:
    given = re.findall(r"( *)proxy_set_header (\S+) (\S+);", CONF)

    # All in http itself: one in a server or a location would take the place of all of these there.
    assert {len(indent) for indent, _name, _value in given} == {4}
    assert {name: value for _indent, name, value in given} == {
        "Connection": "close",
        "Host": "$http_host",
        "X-Forwarded-For": "$remote_addr",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": '""',
        "Forwarded": '""',
    }


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_take_the_whole_machine(name: str) -> None:
    service = SERVICES[name]

    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: path.name)
def test_its_refusals_are_like_those_of_the_service(path: Path) -> None:
    said = {error.status_code: error for error in (RequestTooLarge(), LengthRequired())}
    status, text = int(path.stem), path.read_text()

    if path.suffix == ".json":
        body = json.loads(text)
        [error] = body["errors"]
        assert body["type"] == ("server_error" if status >= 500 else "client_error")
        assert error["attr"] is None
        if status in said:
            assert (error["code"], error["detail"]) == (said[status].default_code, str(said[status].detail))
        text = error["detail"]
    sibling = path.with_suffix({".json": ".txt", ".txt": ".json"}[path.suffix])
    assert text.splitlines()[-1] in sibling.read_text()
    assert f"/refusals/{status}.$shape" in CONF
