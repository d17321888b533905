"""How this process uses its machine: threads, memory, rank. Called before torch is imported."""

import ctypes
import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from sm_dl.errors import UserError, shown

logger = logging.getLogger(__name__)

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
KERNEL_STATISTICS, OWN_THREADS = Path("/proc/stat"), Path("/proc/self/task")
GPU_DRIVER = Path("/dev/nvidiactl")
LOOK_AFTER_S = (0.0, 0.004, 0.004, 0.004, 0.3, 0.004)
"""Looks at what else runs: what starts beside a job, as the other end of a pipe, has done so by the fifth."""
MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30
HEAP_BYTES, HUGE_PAGE_BYTES, MADV_HUGEPAGE = 1 << 28, 2 << 20, 14
THREADS_VARIABLE = "OMP_NUM_THREADS"
WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
ASLEEP = "PASSIVE"


def prepare(*, is_training: bool = False) -> None:
    """Set what must be set before torch starts its threads; the user's own settings win.

    Args:
        is_training: One operation follows the other, and has the machine if nobody else does.
    """
    os.environ.setdefault(THREADS_VARIABLE, str(_share_of_cpus()))
    if not any(name in os.environ for name in WAIT_VARIABLES):
        _let_threads_wait(is_training=is_training)
    # pages of 2 MiB for large tensors: rows of an embedding table of 320 MB lie on other small
    # pages each, and looking those up cost a tenth of a training step
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    _keep_freed_memory()


def has_chosen_threads() -> bool:
    """Return whether the number of threads is ours, and nobody's wish."""
    return os.environ.get(THREADS_VARIABLE) == str(_share_of_cpus())


def num_cpus() -> int:
    """Return the processors this process may use: affinity and container quota, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota()
    if quota is not None:
        allowed = min(allowed or 1, quota)
    return max(1, allowed or 1)


def seconds(
    variable: str, default: float, *, least: float, environment: Mapping[str, str] = os.environ
) -> float:
    """Return a time that an environment variable sets.

    Raises:
        UserError: It holds no number, or less than `least`.
    """
    text = environment.get(variable, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) < least:
        raise UserError(
            f"environment variable {variable}: expected seconds >= {least:g}; got {shown(text)}. "
            f"Unset it for {default:g}."
        )
    return float(text)


def rank() -> int:
    """Return this process's rank in the job; 0 where it is none, which `launched.believe` refuses."""
    return _count("RANK", 0)


def local_rank() -> int:
    """Return this process's rank among those of its host."""
    return _count("LOCAL_RANK", 0)


def processes_of_host() -> int:
    """Return how many processes of the job run on this host."""
    return _count("LOCAL_WORLD_SIZE", 1)


def _quota() -> int | None:
    """Return how many whole processors a container's quota comes to; None where it has none."""
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return None if quota == "max" else int(quota) // int(period)
    except (OSError, ValueError):
        return None  # no control group, or of the old kind: the affinity decides


def _share_of_cpus() -> int:
    """Return the processors that each of this host's processes may use."""
    return max(1, num_cpus() // max(1, processes_of_host()))


def _let_threads_wait(*, is_training: bool) -> None:
    """Let threads wait for each other's operations awake, as torch by itself has it, or asleep.

    To wake one takes some 50 us, and there are dozens of operations in a small step: four algorithms
    trained 1.1 to 2.2 times as fast awake. But who waits awake for a thread that waits for a processor
    keeps it from getting one: beside a busy neighbour three of them came to a third or half of their
    speed asleep (scripts/benchmarks/RESULTS.md).
    """
    text = os.environ[THREADS_VARIABLE]
    num_threads = int(text) if text.isdecimal() else num_cpus()
    # beside a GPU processors read and decode; of a quota waiting takes its part
    has_others_of_ours = processes_of_host() > 1 or GPU_DRIVER.exists() or _quota() is not None
    if not is_training or not 1 < num_threads <= num_cpus() or has_others_of_ours:
        os.environ[WAIT_VARIABLES[0]] = ASLEEP
    elif not _has_room_for(num_threads):
        os.environ[WAIT_VARIABLES[0]] = ASLEEP
        logger.info(
            "other programs use the processors: threads sleep while they wait. "
            "OMP_WAIT_POLICY=ACTIVE keeps them awake, which is faster on a machine of one's own."
        )


def _has_room_for(num_threads: int) -> bool:
    """Return whether so many threads find processors that nobody else uses, as far as can be seen."""
    for pause in LOOK_AFTER_S:
        time.sleep(pause)  # what runs for a moment is no neighbour
        try:
            if _num_running() - _num_running_of_ours() + num_threads <= (os.cpu_count() or 1):
                return True
        except (OSError, ValueError):
            return False  # not Linux
    return False


def _num_running() -> int:
    """Return how many threads of all programs run or wait for a processor."""
    _, _, text = KERNEL_STATISTICS.read_text().partition("procs_running ")
    return int(text.partition("\n")[0])


def _num_running_of_ours() -> int:
    """Return the same of this process: NumPy's threads wait awake for a while when they begin."""
    states = [stat.read_text().rpartition(") ")[2][:1] for stat in OWN_THREADS.glob("*/stat")]
    return states.count("R")


def _count(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else default


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed, up to a bound, instead of returning it at every step.

    Tensors of some MB are else mapped and zeroed anew each time: without this an LSTM step on a
    CPU spends a third of its time in page faults (measured: 73 against 48 ms).
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "madvise"):
        return  # not glibc
    libc.mallopt(MALLOPT_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(MALLOPT_TRIM_THRESHOLD, KEPT_BYTES)
    _ask_for_huge_pages(libc)


def _ask_for_huge_pages(libc: ctypes.CDLL) -> None:
    """Lay the heap's first 256 MiB, which take no memory before they are used, on pages of 2 MiB.

    A step that writes all weights leaves no entry of the table of pages behind for what comes next:
    some 200 small operations of a topic model's step took 6 to 15 % longer on pages of 4 KiB.
    """
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(HEAP_BYTES)  # what lies there once it is free is kept, see above
    if block is None:
        return
    first = -(-block // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    last = (block + HEAP_BYTES) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    libc.madvise(first, last - first, MADV_HUGEPAGE)  # where the system has none, nothing happens
    libc.free(block)
