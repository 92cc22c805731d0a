"""A real clock that the tests move: for themselves, and for all processes of a fleet (see moved_clock/)."""

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

MOVED_CLOCK = Path(__file__).parent / "moved_clock"


class MovedClock:
    """A clock that goes as the real one does, from wherever it was put; it is never put back."""

    def __init__(self, file: Path, *, at: datetime) -> None:
        file.write_bytes(struct.pack("<q", 0))
        self.file = file
        with file.open("r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)
        self.put(at)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    @property
    def environment(self) -> dict[str, str]:
        """What puts a process into the moved time."""
        return {"PYTHONPATH": str(MOVED_CLOCK), "MOVED_CLOCK": str(self.file)}

    def put(self, to: datetime) -> None:
        """Put the clock to a time, at once for everybody."""
        nanoseconds = int((to - datetime.now(UTC)).total_seconds() * 1_000_000) * 1000
        self._ahead[:8] = struct.pack("<q", nanoseconds)

    @property
    def _offset(self) -> timedelta:
        nanoseconds: int = struct.unpack("<q", self._ahead[:8])[0]
        return timedelta(microseconds=nanoseconds // 1000)


def main(arguments: Sequence[str]) -> int:
    """Run a command at another time: `python -m tests.support.clock 2028-02-29T10:00+01:00 make test`."""
    with NamedTemporaryFile() as file:
        clock = MovedClock(Path(file.name), at=datetime.fromisoformat(arguments[0]))
        return subprocess.run(arguments[1:], env=os.environ | clock.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
