"""A roster file as a stream of lines, which a process of its own reads (`certifications/roster_reader.py`).

A file may be made so that reading it takes for ever, or all memory. Then only that process ends, and the file is
refused; the one that asked goes on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Any

import structlog

from certifications.roster_errors import FileCode, LineCode, LineError, RosterFileError
from certifications.roster_reader import Cells, Limits

log = structlog.get_logger(__name__)

# Of a file that operations import, of any number of lines: about a million take five minutes.
BY_COMMAND = Limits(
    cpu_seconds=1800, seconds=2 * 3600, memory=1_000_000_000, unpacked=1_000_000_000, characters=1_000_000_000
)
LONGEST_ANSWER = 1_000_000  # bytes
PROJECT = Path(__file__).resolve().parents[1]
# Nothing else of the environment, which has the secrets of the service, is the reader's business.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")

RawLine = tuple[int, Cells | LineError]


@dataclass(frozen=True, kw_only=True)
class RosterFile:
    """An open roster. `lines` can be read once: its number, and its cells in the order of COLUMNS or what is wrong."""

    lines: Iterator[RawLine]
    estimated_lines: int  # for a progress bar
    ignored_columns: tuple[str, ...]


@contextmanager
def open_roster(file: Path | IO[bytes], *, limits: Limits = BY_COMMAND) -> Iterator[RosterFile]:
    """Open a roster and read its header. Raises RosterFileError, also while the lines are read.

    What is open already must be a real file, at its beginning.
    """
    try:
        with _open_file(file) as stream, _start_reader(stream, limits) as answers:
            contents = next(answers)
            yield RosterFile(
                lines=map(_as_line, answers),
                estimated_lines=contents["estimated_lines"],
                ignored_columns=tuple(contents["ignored_columns"]),
            )
    except RosterFileError as error:
        error.file = file
        raise


@contextmanager
def _open_file(file: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    if not isinstance(file, Path):
        yield file
        return
    if file.is_dir():
        raise RosterFileError(FileCode.FOLDER)
    if file.exists() and not file.is_file():
        raise RosterFileError(FileCode.NO_REGULAR_FILE)
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        raise RosterFileError(FileCode.NOT_FOUND) from None
    except OSError as error:
        raise RosterFileError(FileCode.UNREADABLE, error=error.strerror) from error
    with stream:
        yield stream


@contextmanager
def _start_reader(stream: IO[bytes], limits: Limits) -> Iterator[Iterator[Any]]:
    """Start the process, and end it with the block. It sets its limits itself: code between fork and exec, as
    `preexec_fn` is, may hang in a process that has threads."""
    command = (sys.executable, "-m", "certifications.roster_reader", json.dumps(asdict(limits)))
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    with Popen(command, stdin=stream, stdout=PIPE, stderr=DEVNULL, cwd=PROJECT, env=environment) as reader:
        try:
            yield _answers(reader)
        finally:
            reader.kill()


def _answers(reader: Popen[bytes]) -> Iterator[Any]:
    for document in iter(partial(reader.stdout.readline, LONGEST_ANSWER), b""):  # type: ignore[union-attr]
        if not document.endswith(b"\n"):  # it ended in the middle of it
            break
        match json.loads(document):
            case None:
                return
            case {"code": code, "params": params}:
                raise RosterFileError(FileCode(code), **params)
            case answer:
                yield answer
    ended = reader.wait()
    log.warning("the reader of a roster ended before its file", event_name="roster_reader_ended", exit_code=ended)
    raise RosterFileError(FileCode.TOO_COSTLY)


def _as_line(answer: Any) -> RawLine:
    match answer:
        case [number, column, code, params]:
            return number, LineError(column, LineCode(code), **params)
        case _:
            number, cells = answer
            return number, cells
