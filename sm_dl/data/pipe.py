"""Pipe mode: the bytes of one epoch, as they come through a FIFO that may appear late."""

import contextlib
import fcntl
import io
import os
import select
import stat
import time
from pathlib import Path
from typing import BinaryIO, cast

from sm_dl.errors import PlatformError, UserError

TIMEOUT_S = 600.0
"""How long a FIFO may be absent, without a writer, or silent, before the job gives up."""
LOOK_AGAIN_S = 0.02
BUFFER_BYTES = 1 << 20
"""Linux lets anybody widen a pipe to this; its default of 64 KiB wakes us sixteen times as often."""


def open_fifo(
    path: Path, name: str, timeout_s: float = TIMEOUT_S, *, appears_s: float | None = None
) -> BinaryIO:
    """Return the stream of one FIFO, once it exists; closing it early is allowed.

    Args:
        path: The FIFO `<channel>_<epoch>`; opened once, for its writer is gone afterwards.
        name: What error messages call it.
        timeout_s: The longest silence, before the FIFO exists and between two pieces of it.
        appears_s: The longest time before it exists, where that is another.
    Raises:
        UserError: Something else than a FIFO has the name, or somebody reads it already.
        PlatformError: The FIFO does not appear, or cannot be opened. Reading raises it too, when
            nothing arrives any more.
    """
    appears_s = timeout_s if appears_s is None else appears_s
    deadline = time.monotonic() + appears_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise _timed_out(name, f"{path} did not appear within {appears_s:g} s")
        time.sleep(LOOK_AGAIN_S)
    if not stat.S_ISFIFO(path.stat().st_mode):
        raise UserError(
            f"{name}: expected a FIFO at {path}; got a file or a folder. "
            "Use input mode File, or let a FIFO be written."
        )
    try:
        # without O_NONBLOCK, open() itself would wait for a writer, and for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PlatformError(f"{name}: {path} cannot be opened ({error.strerror}).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UserError(
            f"{name}: {path} is being read by another process, and each would get half of the "
            "records. Let one process of a host read a pipe."
        ) from None
    stream = io.BufferedReader(_Fifo(descriptor, name, timeout_s), BUFFER_BYTES)
    return cast("BinaryIO", stream)


class _Fifo(io.RawIOBase):
    """The reading end of a FIFO, with a limit on silence."""

    def __init__(self, descriptor: int, name: str, timeout_s: float) -> None:
        self._descriptor, self._name, self._timeout_s = descriptor, name, timeout_s
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)  # POLLHUP, the writer's end, always comes
        self._num_bytes = 0
        with contextlib.suppress(OSError, AttributeError):  # a narrower pipe is only slower
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, BUFFER_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Wait for bytes and return how many came; 0 when the writer has closed its end."""
        # before the first writer comes, read() would say "end of file", but poll() waits
        if not self._poll.poll(self._timeout_s * 1000):
            raise _timed_out(
                self._name,
                f"nothing came for {self._timeout_s:g} s after byte {self._num_bytes}",
            )
        num_bytes = os.readv(self._descriptor, [buffer])
        self._num_bytes += num_bytes
        return num_bytes

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _timed_out(name: str, why: str) -> PlatformError:
    """Return the service's own sentence (contract, section 2), and what to look at."""
    return PlatformError(
        f"SageMaker pipe channel timed out. {name}: {why}; "
        "check that the channel's objects can be read and that its writer runs."
    )
