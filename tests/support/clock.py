"""A clock that the tests move: for themselves, and for all processes of a fleet (see moved_clock/)."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import time_ns

from time_machine import escape_hatch

MOVED_CLOCK = Path(__file__).parent / "moved_clock"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MovedClock:
    """A clock that goes from wherever it was put, so many times slower than the real one; it is never put back."""

    def __init__(self, file: Path, *, at: datetime, slower: int = 1) -> None:
        self.file = file
        self.slower = slower
        self._ahead = _eight_bytes(file)
        self._over: dict[str, mmap.mmap] = {}
        self.put(at)

    @property
    def now(self) -> datetime:
        nanoseconds: int = self._passed() + struct.unpack("<q", self._ahead[:8])[0]
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)

    @property
    def environment(self) -> dict[str, str]:
        """What puts a process into the moved time."""
        return {
            "PYTHONPATH": str(MOVED_CLOCK),
            "MOVED_CLOCK": str(self.file),
            "MOVED_CLOCK_SLOWER": str(self.slower),
        }

    def environment_of_loop(self, name: str) -> dict[str, str]:
        """What also has a loop say when it was round, and wakes it whenever the clock is moved."""
        file = self.file.with_name(f"{self.file.name}-round-of-{name}")
        self._over[name] = _eight_bytes(file)
        return self.environment | {"MOVED_CLOCK_ROUND": str(file)}

    def was_round(self, name: str) -> bool:
        """Whether the loop has finished a round that it began after the clock was last put."""
        return self._over[name][:8] == self._ahead[:8]

    def put(self, to: datetime) -> None:
        """Put the clock to a time, at once for everybody."""
        nanoseconds = (to - EPOCH) // timedelta(microseconds=1) * 1000 - self._passed()
        self._ahead[:8] = struct.pack("<q", nanoseconds)

    def _passed(self) -> int:
        """Return the real time, slowed down; real also where this process lives in a moved time itself."""
        real = escape_hatch.time.time_ns() if escape_hatch.is_travelling() else time_ns()
        return real // self.slower


def _eight_bytes(file: Path) -> mmap.mmap:
    file.write_bytes(struct.pack("<q", 0))
    with file.open("r+b") as opened:
        return mmap.mmap(opened.fileno(), 8)


def main(arguments: Sequence[str]) -> int:
    """Run a command at another time: `python -m tests.support.clock 2028-02-29T10:00+01:00 make test`."""
    with NamedTemporaryFile() as file:
        clock = MovedClock(Path(file.name), at=datetime.fromisoformat(arguments[0]))
        return subprocess.run(arguments[1:], env=os.environ | clock.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
