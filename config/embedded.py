"""Real PostgreSQL and Redis for a machine that has none, with their data below `.data/` (ADR 5).

A process that needs the servers of a folder is listed in the folder's state as a user; the last user that ends stops
them. A killed user does not count: the next one adopts the servers and stops them. Django's settings are not read here.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from config.servers import EmbeddedServerError, Postgres, Redis, Server, write_secret

__all__ = ["EmbeddedServerError", "EmbeddedServers", "development_environment"]

KINDS: dict[str, type[Server]] = {"DATABASE_URL": Postgres, "REDIS_URL": Redis}
VARIABLES = (*KINDS, "SECRET_KEY", "DEBUG")


@dataclass(kw_only=True)
class _State:
    """The content of a folder's `state.json`; read and written under the folder's lock."""

    password: str = field(default_factory=lambda: secrets.token_hex(24))
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    ports: dict[str, int] = field(default_factory=dict)
    users: list[list[float]] = field(default_factory=list)  # pid and start time of each
    kept: bool = False  # runs until stop(), with or without users


class EmbeddedServers:
    """The PostgreSQL and the Redis of one folder."""

    def __init__(self, folder: Path, *, scratch: bool = False) -> None:
        self.folder = folder.resolve()
        self.scratch = scratch

    def start(self) -> dict[str, str]:
        """Start both, or adopt those that run, until `stop()`; return DATABASE_URL and REDIS_URL."""
        with self._locked() as state:
            urls = self._start(state, KINDS)
            state.kept = True
            return urls

    def stop(self) -> None:
        """Stop both and wait for their end; do nothing if they do not run."""
        if self.folder.exists():
            with self._locked() as state:
                self._stop(state)

    @contextmanager
    def use(self, variables: Collection[str] = VARIABLES) -> Iterator[dict[str, str]]:
        """Provide `variables` and the servers that they need; the last user that ends stops all of the folder."""
        me = [os.getpid(), psutil.Process().create_time()]
        with self._locked() as state:
            state.kept = state.kept and any(server.processes() for server in self._servers(state).values())
            state.users.append(me)
        try:
            with self._locked() as state:
                environment = self._start(state, [kind for kind in KINDS if kind in variables])
            environment |= {"SECRET_KEY": state.secret_key, "DEBUG": "true"}
            yield {name: value for name, value in environment.items() if name in variables}
        finally:
            with self._locked() as state:
                if me in state.users:
                    state.users.remove(me)
                state.users = [user for user in state.users if _is_alive(*user)]
                if not state.users and not state.kept:
                    self._stop(state)

    def running(self) -> dict[str, Server]:
        """Return the servers that run, by the name of their variable."""
        if not self.folder.exists():
            return {}
        with self._locked() as state:
            return {name: server for name, server in self._servers(state).items() if server.processes()}

    def _servers(self, state: _State) -> dict[str, Server]:
        return {
            name: kind(
                home=self.folder / kind.__name__.lower(),
                password=state.password,
                port=state.ports.get(name, 0),
                scratch=self.scratch,
            )
            for name, kind in KINDS.items()
        }

    def _start(self, state: _State, names: Collection[str]) -> dict[str, str]:
        """Start all of `names` or, if one fails, none."""
        servers = {name: server for name, server in self._servers(state).items() if name in names}
        with ExitStack() as undo:
            for name, server in servers.items():
                if not server.processes():
                    undo.callback(server.stop)
                server.start()
                state.ports[name] = server.port
            undo.pop_all()
        return {name: server.url for name, server in servers.items()}

    def _stop(self, state: _State) -> None:
        for server in self._servers(state).values():
            server.stop()
        state.kept = False

    @contextmanager
    def _locked(self) -> Iterator[_State]:
        """Lock the folder for this process, and save its state at the end."""
        file = self.folder / "state.json"
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with open(f"{self.folder}.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.folder.mkdir(exist_ok=True)
                if not file.exists():
                    write_secret(file, json.dumps(asdict(_State())))
                state = _State(**json.loads(file.read_text()))
                try:
                    yield state
                finally:
                    write_secret(file, json.dumps(asdict(state)))
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot keep servers in {self.folder}: {error}. Set NATTEVAKT_DATA to a folder that you may write to."
            ) from error


@contextmanager
def development_environment(name: str = "up", *, scratch: bool = False) -> Iterator[dict[str, str]]:
    """Provide those of DATABASE_URL, REDIS_URL, SECRET_KEY and DEBUG that are not set, and servers for the URLs."""
    missing = [variable for variable in VARIABLES if variable not in os.environ]
    if not missing:
        yield {}
        return
    with embedded_servers(name, scratch=scratch).use(missing) as environment:
        yield environment


def embedded_servers(name: str, *, scratch: bool = False) -> EmbeddedServers:
    """Return the servers of `.data/NAME`, or of NAME below the folder that NATTEVAKT_DATA names."""
    root = os.environ.get("NATTEVAKT_DATA") or Path(__file__).resolve().parent.parent / ".data"
    return EmbeddedServers(Path(root) / name, scratch=scratch)


def _is_alive(pid: float, created: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(pid))
        return abs(process.create_time() - created) < 2 and process.status() != psutil.STATUS_ZOMBIE
    return False


def _run(command: Sequence[str], *, name: str, scratch: bool) -> int:
    """Run a command in the environment, pass signals on to it, return its exit code, or 128 + the signal's number."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: FrameType | None = None) -> None:
        if child is None:
            early.append(number)
        elif number != signal.SIGINT or not _has_terminal():
            child.send_signal(number)

    for end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(end) != signal.SIG_IGN:
            signal.signal(end, forward)
    with development_environment(name, scratch=scratch) as environment:
        if early:
            return 128 + early[0]
        try:
            child = subprocess.Popen(command, env=os.environ | environment)
        except OSError as error:
            raise EmbeddedServerError(f"Cannot run {command[0]}: {error.strerror}.") from error
        for number in early:
            forward(number)
        code = child.wait()
    return code if code >= 0 else 128 - code


def _has_terminal() -> bool:
    """Say whether a terminal sends Ctrl-C to the command itself. A second SIGINT would make Celery stop at once."""
    return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()


def _start(servers: EmbeddedServers) -> None:
    servers.start()
    _show_status(servers)


def _show_status(servers: EmbeddedServers) -> None:
    running = servers.running()
    for name, kind in KINDS.items():
        server = running.get(name)
        print(f"{kind.__name__}: " + (f"runs on 127.0.0.1:{server.port}, log {server.log}" if server else "stopped"))


def _show_environment(servers: EmbeddedServers) -> None:
    if servers.running().keys() != KINDS.keys():
        raise EmbeddedServerError("The servers do not run: start them with `python -m config.embedded start`.")
    with servers.use() as environment:
        for name, value in environment.items():
            print(f"export {name}={shlex.quote(value)}")


ACTIONS = {"start": _start, "stop": EmbeddedServers.stop, "status": _show_status, "env": _show_environment}


def main(arguments: Sequence[str]) -> int:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    own, command = arguments[:split], arguments[split + 1 :]
    parser = argparse.ArgumentParser(
        prog="python -m config.embedded",
        usage="%(prog)s {start,stop,status,env} [--name NAME] [--scratch]\n"
        "       %(prog)s run [--name NAME] [--scratch] -- COMMAND [ARGUMENT ...]",
        description="Real PostgreSQL and Redis for a machine that has none.",
    )
    parser.add_argument("action", choices=("run", *ACTIONS))
    parser.add_argument("--name", default="up", help="whose data: a folder below .data (default: up)")
    parser.add_argument("--scratch", action="store_true", help="fast and not durable, for tests")
    options = parser.parse_args(own)
    if (options.action == "run") != bool(command):
        parser.error("run, and only run, takes -- and a command")
    try:
        if options.action == "run":
            return _run(command, name=options.name, scratch=options.scratch)
        ACTIONS[options.action](embedded_servers(options.name, scratch=options.scratch))
    except EmbeddedServerError as error:
        print(f"config.embedded: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
