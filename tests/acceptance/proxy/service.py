"""The service behind its proxy, as docker-compose.yml has it: its nginx.conf and its command of gunicorn.

Only what cannot be the same here is put in their place: addresses, folders and the certificate.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.support.processes import PROJECT, Process, free_port, live_environment, running

SERVICES: dict[str, dict[str, Any]] = YAML(typ="safe").load(PROJECT / "docker-compose.yml")["services"]
FOLDER = PROJECT / "config" / "proxy"
HOST = "nattevakt.example.org"
PROGRAMS = ("nginx", "openssl")
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))


def find_missing() -> str:
    """Return what the tests of the proxy want for, or nothing."""
    missing = [program for program in PROGRAMS if not shutil.which(program, path=PATH)]
    return f"no {' and no '.join(missing)} is here. On Debian: apt-get install {' '.join(missing)}" if missing else ""


@dataclass(frozen=True, kw_only=True)
class Proxied:
    https: int
    http: int
    monitors: int
    web: Process
    nginx: Process
    folder: Path  # all that nginx writes, but for its log
    certificate: Path

    def log(self) -> str:
        return self.nginx.output


@contextmanager
def proxied(folder: Path, **environment: str) -> Iterator[Proxied]:
    """Run both for the time of a block."""
    ports = {8443: free_port(), 8080: free_port(), 8000: free_port(), 5555: free_port()}
    behind = free_port()
    certificate = make_certificate(folder)
    conf = place(ports=ports, web=behind, folder=folder)
    command = [
        f"--bind=127.0.0.1:{behind}" if part.startswith("--bind") else part for part in SERVICES["web"]["command"]
    ]
    given = {"ALLOWED_HOSTS": HOST, "SECURE_SSL_REDIRECT": "true", "PUBLIC_URL": f"https://{HOST}"} | environment
    # Production has no root in the container; here root would give its files away to somebody else.
    as_it_is = ["-g", "user root;"] if os.getuid() == 0 else []
    with (
        running(*command, env=live_environment(**given)) as web,
        running("nginx", "-c", str(conf), *as_it_is, env={"PATH": PATH}) as nginx,
    ):
        web.wait_until(lambda: web.output.count("Booting worker") == 2, what="its processes")
        nginx.wait_until((folder / "nginx.pid").exists, what="its start")
        yield Proxied(
            https=ports[8443],
            http=ports[8080],
            monitors=ports[8000],
            web=web,
            nginx=nginx,
            folder=folder,
            certificate=certificate,
        )


def place(*, ports: dict[int, int], web: int, folder: Path) -> Path:
    """Write nginx.conf for this machine; every change is one that must be possible."""
    conf = (FOLDER / "nginx.conf").read_text()
    changes = [(rf"listen {inside}\b", f"listen 127.0.0.1:{outside}") for inside, outside in ports.items()]
    changes += [
        (r" /tmp/", f" {folder}/"),
        (r"http://web:8000", f"http://127.0.0.1:{web}"),
        (r"/etc/nattevakt\b", str(FOLDER)),
        (r"/etc/tls\b", str(folder / "tls")),
    ]
    for pattern, new in changes:
        conf, count = re.subn(pattern, new, conf)
        assert count, pattern
    path = folder / "nginx.conf"
    path.write_text(conf)
    return path


def make_certificate(folder: Path) -> Path:
    tls = folder / "tls"
    tls.mkdir()
    subprocess.run(
        (
            "openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
            "-keyout", tls / "privkey.pem", "-out", tls / "fullchain.pem",
        ),
        check=True,
        capture_output=True,
    )  # fmt: skip
    return tls / "fullchain.pem"
