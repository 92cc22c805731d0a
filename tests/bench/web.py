"""What the API serves under load, beside a plain `ModelViewSet` over the same rows, from the same gunicorn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from knox.models import AuthToken

from mentors.models import CoordinatorRole, Organisation, User
from tests.bench.dataset import SLUG
from tests.support.databases import clone
from tests.support.processes import SCRIPTS, free_port, running
from tests.support.servers import url_of

CHAPTERS = (3, 7, 11, 19, 23, 31, 37, 43)


@dataclass(frozen=True, kw_only=True)
class Load:
    """A question in its own way and the plain way; `{chapter}` is one chapter after the other."""

    name: str
    own: str
    plain: str


LOADS = (
    Load(
        name="certifications by state and chapter",
        own="/api/v1/certifications?state=expired&chapter={chapter}",
        plain="/plain/certifications?state=expired&chapter={chapter}",
    ),
    Load(
        name="the public listing of a chapter",
        own=f"/api/v1/public/{SLUG}/chapters/chapter-{{chapter}}/mentors",
        plain=f"/plain/{SLUG}/chapter-{{chapter}}/mentors",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Requests a second, medians."""

    own: float
    plain: float


def measure_lists(template: str, *, chapters: int, seconds: float, repeats: int) -> dict[str, Rates]:
    """Ask both in turn, from a process of its own with eight connections; return the rates by name of the load."""
    with clone(template) as database:
        user = User.objects.create_user("lead")
        CoordinatorRole.objects.create(user=user, organisation=Organisation.objects.get(slug=SLUG))
        token = AuthToken.objects.create(user)[1]
        with web(database) as address:
            rates = {}
            for load in LOADS:
                own, plain = [], []
                for _ in range(repeats + 1):
                    own.append(_ask(address, load.own, token=token, chapters=chapters, seconds=seconds))
                    plain.append(_ask(address, load.plain, token=token, chapters=chapters, seconds=seconds))
                # The first of each only wakes the server up.
                rates[load.name] = Rates(own=median(own[1:]), plain=median(plain[1:]))
            return rates


@contextmanager
def web(database: str) -> Iterator[str]:
    """Serve the database from gunicorn as the Procfile does, without limits on how often one may ask."""
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": url_of(database),
        "PATH": os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath))),
        "DEBUG": "false",
        "SECURE_SSL_REDIRECT": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "API_RATE_USER": "",
        "API_RATE_ADDRESS": "",
        "PAGE_RATE_ADDRESS": "",
        "LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    command = ("gunicorn", "tests.bench.wsgi", f"--bind=127.0.0.1:{port}", "--workers=2", "--threads=4",
               "--no-control-socket")  # fmt: skip
    with running(*command, env=environment) as server:
        server.wait_for("Booting worker")
        yield f"http://127.0.0.1:{port}"


def _ask(address: str, path: str, *, token: str, chapters: int, seconds: float) -> float:
    urls = [address + path.format(chapter=chapter % chapters + 1) for chapter in CHAPTERS]
    command = [sys.executable, "-m", "tests.bench.load", f"--seconds={seconds}", *urls]
    done = subprocess.run(command, env=os.environ | {"TOKEN": token}, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["per_second"])
