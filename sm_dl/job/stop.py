"""SIGTERM: the job ends soon, and with what it has, wherever it is.

While data are read the signal ends the job at once. Inside `deferred()` (training, writing the
model) it only raises a flag, which the loops look at between two batches.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sm_dl.errors import StoppedError


class StopNow(BaseException):
    """Leaves whatever runs; no `except Exception` on the way may hold it up.

    It may strike inside another library, e.g. while it is imported, and be swallowed there: NumPy's
    C code does so. Then `is_leaving` tells errors in its wake from the job's own, and `look` ends the job
    where nothing broke.
    """


class _Requests:
    """How often SIGTERM came, and how many sections at work want to finish first."""

    count = 0
    num_deferring = 0
    is_leaving = False


@contextmanager
def listening() -> Iterator[None]:
    """Take SIGTERM; the first process of a container has no handler by itself."""
    before = signal.signal(signal.SIGTERM, _take)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _Requests.count, _Requests.is_leaving = 0, False


def _take(_number: int, _frame: FrameType | None) -> None:
    _Requests.count += 1
    if not _Requests.num_deferring and not _Requests.is_leaving:
        _Requests.is_leaving = True  # a second one must not break the tidying of the first
        raise StopNow


def look() -> None:
    """Leave at last where SIGTERM came and another library swallowed `StopNow`.

    Readers call it where they open the next file. A section that defers is left to itself.
    """
    if _Requests.count and not _Requests.num_deferring:
        raise StopNow


def is_leaving() -> bool:
    """Return whether `StopNow` was raised."""
    return _Requests.is_leaving


def num_requests() -> int:
    """Return how often SIGTERM came; from two on there is hurry."""
    return _Requests.count


@contextmanager
def deferred() -> Iterator[None]:
    """Let a section finish, or stop at a place of its own choice, although SIGTERM came."""
    _Requests.num_deferring += 1
    try:
        yield
    finally:
        _Requests.num_deferring -= 1


def check(what_is_left: str) -> None:
    """End the job where SIGTERM came while nobody could look.

    Args:
        what_is_left: One sentence for the log: what is written, what is not.
    Raises:
        StoppedError: It came.
    """
    if _Requests.count:
        raise StoppedError(what_is_left)
