"""The stream of one input object: gunzipped within bounds, watched for changes."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from typing_extensions import override

from sm_dl.content_types import ALIASES, CSV, JPEG, PNG
from sm_dl.errors import PlatformError, UserError
from sm_dl.serving.batch.rules import Compression

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP_SUFFIX = ".gz"
EXTENSIONS = {**ALIASES, "csv": CSV, "png": PNG, "jpg": JPEG, "jpeg": JPEG}
MAX_EXPANSION = 600
"""Bytes out of one gzipped byte. Series of zeros in JSON Lines reach 400, a bomb 1,000."""
FREE_EXPANDED_BYTES = 64 * 1024 * 1024
"""Expanded bytes that are never refused: a small object may be as repetitive as it likes."""

BUFFER_BYTES = 1 << 16


class Source(Protocol):
    """What splitting reads from: forward only."""

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer at the end only."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return the bytes up to a newline, it included, at most `size`."""
        ...


def type_from_extension(name: str) -> str:
    """Return the media type of an object by its name.

    Raises:
        UserError: The extension tells nothing.
    """
    extension = PurePosixPath(name.lower().removesuffix(GZIP_SUFFIX)).suffix
    media_type = EXTENSIONS.get(extension.removeprefix("."))
    if media_type is None:
        raise UserError(
            f"{name}: the content type cannot be told from the extension {extension!r}. "
            "Set --content-type, or rename the object."
        )
    return media_type


@contextmanager
def opened(path: Path, name: str, compression: Compression | None) -> Iterator[Source]:
    """Yield the stream of an object.

    Raises:
        UserError: It cannot be opened, is damaged gzip or a bomb, or changed while it was read.
        PlatformError: The disk failed.
    """
    is_gzipped = (
        name.lower().endswith(GZIP_SUFFIX) if compression is None else compression == "Gzip"
    )
    try:
        plain = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{name}: cannot be opened ({error.strerror}); the folder must not change while a "
            "transform reads it."
        ) from None
    with plain:
        before = _state(plain)
        yield io.BufferedReader(_Gunzipped(plain, name), BUFFER_BYTES) if is_gzipped else plain
        if _state(plain) != before:
            raise UserError(
                f"{name}: has changed while it was read; start again when its writer is done."
            )


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


class _Gunzipped(io.RawIOBase):
    """The content of a gzipped stream, refused when it expands beyond reason."""

    def __init__(self, plain: BinaryIO, name: str) -> None:
        """Begin at the start of the stream."""
        self._plain = plain
        self._name = name
        self._content = gzip.GzipFile(fileobj=plain, mode="rb")
        self._size_bytes = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        size_bytes = self._content.readinto(buffer)
        self._size_bytes += size_bytes
        allowed = max(FREE_EXPANDED_BYTES, MAX_EXPANSION * self._plain.tell())
        if self._size_bytes > allowed:
            raise UserError(
                f"{self._name}: expands to more than {MAX_EXPANSION} times its gzipped size, "
                f"{allowed} bytes so far; replace the object, or gunzip it yourself."
            )
        return size_bytes


def unreadable(name: str, error: OSError | EOFError | zlib.error) -> UserError | PlatformError:
    """Return whose fault it is that a stream could not be read to its end."""
    if isinstance(error, OSError) and error.errno:  # gzip's own errors have none
        return PlatformError(f"{name}: cannot be read to its end ({error.strerror}).")
    return UserError(f"{name}: cannot be read to its end ({error}); replace the object.")
