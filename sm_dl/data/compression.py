"""Plain bytes of a file that may be gzipped, and never many more than its size lets one expect."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from sm_dl.data.source import NamedBytes
from sm_dl.errors import PlatformError, UserError

GZIP_MAGIC = b"\x1f\x8b"
BUFFER_BYTES = 1 << 20
FREE_BYTES = 1 << 28
"""Any file may unpack to this much."""
MAX_RATIO = 200
"""And to this many bytes for each byte read. Text comes to 3 to 20, gzip's own limit is 1,032."""


@contextmanager
def opened_plain(file: NamedBytes) -> Iterator[BinaryIO]:
    """Open a file; whether it is gzipped is told from its first bytes, not from its name.

    Reading raises UserError where the file unpacks to more than it may, or to gzip again, and
    gzip's own errors where it is damaged; see `explained`.
    """
    with file.open() as stored:
        magic = stored.read(len(GZIP_MAGIC))
        if magic != GZIP_MAGIC and stored.seekable():
            stored.seek(0)
            yield stored
            return
        whole = _Counted(magic, stored)
        raw = _Unpacked(whole, file.name) if magic == GZIP_MAGIC else whole
        with io.BufferedReader(raw, BUFFER_BYTES) as plain:
            yield cast("BinaryIO", plain)


@contextmanager
def explained(file: NamedBytes, position: Callable[[], str]) -> Iterator[None]:
    """Turn what reading a stream raises into sentences; `position` says how far it came.

    Raises:
        UserError: The compressed data are damaged.
        PlatformError: The stream cannot be read.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{file.name}: after {position()}: the gzip data are damaged or cut short ({error}). "
            "Copy the file again."
        ) from None
    except OSError as error:
        raise PlatformError(f"{file.name}: cannot be read ({error.strerror or error}).") from None


class _Counted(io.RawIOBase):
    """A stream of which the first bytes have been read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest
        self.num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            piece, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
            buffer[: len(piece)] = piece
            count = len(piece)
        else:
            count = self._rest.readinto(buffer)  # type: ignore[attr-defined]
        self.num_bytes += count
        return count


class _Unpacked(io.RawIOBase):
    """What a gzip stream unpacks to, within bounds."""

    def __init__(self, stored: _Counted, name: str) -> None:
        self._stored, self._name = stored, name
        self._gzip = gzip.GzipFile(fileobj=io.BufferedReader(stored, BUFFER_BYTES))
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._gzip.read1(len(buffer))  # before damage, what is still good comes out
        count = len(piece)
        buffer[:count] = piece
        if self._num_bytes == 0 and piece.startswith(GZIP_MAGIC):
            raise UserError(
                f"{self._name}: expected data packed by gzip once; got gzip within gzip. Unpack it."
            )
        self._num_bytes += count
        if self._num_bytes > FREE_BYTES + MAX_RATIO * self._stored.num_bytes:
            raise UserError(
                f"{self._name}: expected gzip data that unpack to at most {MAX_RATIO} times their "
                f"size; got {self._num_bytes} bytes from the first {self._stored.num_bytes}. "
                "Unpack the file if it is really meant to be that long."
            )
        return count
