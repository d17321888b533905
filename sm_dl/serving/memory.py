"""How much memory this process holds, may hold, and can give back."""

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
RESIDENT_FIELD = 1
"""Of /proc/self/statm, in pages."""


def held_bytes() -> int:
    """Return the resident memory of this process."""
    pages = Path("/proc/self/statm").read_text().split()[RESIDENT_FIELD]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def limit_bytes() -> int:
    """Return the container's memory limit, or the machine's memory where there is none."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # absent, or `max`
            limits.append(int(path.read_text()))
    return min(limits)


def give_back() -> None:
    """Return what is no longer used to the system.

    glibc keeps freed memory otherwise, the more so as the doors tell it to (engine/machine.py):
    a model that was unloaded would still count.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
