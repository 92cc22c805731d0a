"""Moves the clock of every Python process that has this folder on its PYTHONPATH, by as much as MOVED_CLOCK says.

MOVED_CLOCK is a file of eight bytes: nanoseconds, as a little-endian integer. It is looked at whenever a process asks
for the time, so all processes, and the children that they fork, live in one and the same moved time. By itself that
time passes MOVED_CLOCK_SLOWER times slower than the real one: a fleet's so slowly that a busy machine is no long night.
Waiting is real: `sleep` and the monotonic clock are left alone.

But for the two loops of the service, beat's and the watchdog's: their sleep between two rounds ends as soon as the
clock is moved. They say in the file MOVED_CLOCK_ROUND at which state of the clock the round began that is over now,
threads included, so that whoever moves the clock can wait until they live in the new time.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

LOOPS = {"celery.beat", "cronjobs.management.commands.watchdog"}
LOOK_SECONDS = 0.005


def open_eight_bytes(variable: str, access: int) -> mmap.mmap:
    with open(os.environ[variable], "r+b") as file:
        return mmap.mmap(file.fileno(), 8, access=access)


# The interpreter's own tools (pip, ensurepip) start without our packages.
if "MOVED_CLOCK" in os.environ and "time_machine" not in sys.modules:
    import time_machine

    ahead = open_eight_bytes("MOVED_CLOCK", mmap.ACCESS_READ)
    slower = int(os.environ["MOVED_CLOCK_SLOWER"])
    original_time_ns = time_machine.escape_hatch.time.time_ns

    def moved_time_ns() -> int:
        return original_time_ns() // slower + int(struct.unpack("<q", ahead[:8])[0])

    traveller = time_machine.travel(0).start()
    traveller.time_ns = moved_time_ns  # type: ignore[method-assign]


class DatabaseClock(PathFinder):
    """Has the service believe that the database lives in the same time."""

    @classmethod
    def find_spec(cls, fullname: str, *args: Any) -> ModuleSpec | None:
        spec = super().find_spec(fullname, *args) if fullname == "mentors.clock" else None
        if spec and spec.loader:
            original = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                original(module)
                module.database_now = module.timezone.now

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "MOVED_CLOCK" in os.environ:
    sys.meta_path.insert(0, DatabaseClock)

if "MOVED_CLOCK_ROUND" in os.environ:
    over = open_eight_bytes("MOVED_CLOCK_ROUND", mmap.ACCESS_WRITE)
    original_sleep = time.sleep
    began = bytearray(ahead[:8])

    def sleep(seconds: float, /) -> None:
        """Sleep as ever, or, of a loop, until the clock is moved."""
        if sys._getframe(1).f_globals.get("__name__") not in LOOPS:
            original_sleep(seconds)
            return
        until = time.monotonic() + seconds
        while ahead[:8] == began and time.monotonic() < until:
            if threading.active_count() == 1:
                over[:8] = began
            original_sleep(LOOK_SECONDS)
        began[:] = ahead[:8]

    time.sleep = sleep  # type: ignore[assignment]
