"""The platform's side of Pipe mode: FIFOs filled from bytes, so that no cloud is needed."""

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def feeding(
    channel: Path, epochs: Iterable[Iterable[bytes]], *, late_s: float = 0
) -> Iterator[None]:
    """Write `<channel>_0`, `<channel>_1` ... one after the other, each piece of an epoch in turn.

    A reader that closes early ends its epoch, as on the platform. What nobody reads is given up
    when the block is left.

    Args:
        channel: The path that the channel has in the job.
        epochs: The pieces of each epoch.
        late_s: How long the first FIFO is awaited.
    """
    is_over = threading.Event()

    def feed() -> None:
        time.sleep(late_s)
        for number, pieces in enumerate(epochs):
            path = channel.with_name(f"{channel.name}_{number}")
            os.mkfifo(path)
            descriptor = _opened(path, is_over)
            if descriptor is None:
                return
            with os.fdopen(descriptor, "wb", buffering=0) as fifo:
                for piece in pieces:
                    with contextlib.suppress(BrokenPipeError):
                        _write(fifo.fileno(), piece, is_over)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _opened(path: Path, is_over: threading.Event) -> int | None:
    while not is_over.is_set():
        with contextlib.suppress(OSError):  # nobody reads yet
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.001)
    return None


def _write(descriptor: int, piece: bytes, is_over: threading.Event) -> None:
    left = memoryview(piece)
    while left and not is_over.is_set():
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            time.sleep(0.001)
