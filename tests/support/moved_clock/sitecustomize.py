"""Moves the clock of every Python process that has this folder on its PYTHONPATH, by as much as MOVED_CLOCK says.

MOVED_CLOCK is a file of eight bytes: nanoseconds, as a little-endian integer. It is looked at whenever a process asks
for the time, so all processes, and the children that they fork, live in one and the same moved time. Waiting is real:
`sleep` and the monotonic clock are left alone.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys

# The interpreter's own tools (pip, ensurepip) start without our packages.
if "MOVED_CLOCK" in os.environ and "time_machine" not in sys.modules:
    import time_machine

    with open(os.environ["MOVED_CLOCK"], "rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    original_time_ns = time_machine.escape_hatch.time.time_ns
    traveller = time_machine.travel(0).start()
    traveller.time_ns = lambda: original_time_ns() + struct.unpack("<q", ahead[:8])[0]  # type: ignore[method-assign]
