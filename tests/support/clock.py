"""A real clock that the tests move: for themselves, and for all processes of a fleet (see moved_clock/)."""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
