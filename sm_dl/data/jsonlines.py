"""JSON Lines, plain or gzipped, one object a line, with line numbers in every error."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO

import orjson

from sm_dl.data.source import DataFile
from sm_dl.errors import PlatformError, UserError, shown

MAX_LINE_BYTES = 1 << 29
"""Longest line read: a gzip bomb without a line break stops here, not at the end of memory."""
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_objects(file: DataFile) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (place, object) for each line that is not blank; place is `train/a.json line 3`.

    Whether a file is gzipped is told from its first bytes, not from its name.

    Raises:
        UserError: A line is no JSON object or too long, or the compressed data are damaged.
        PlatformError: The file cannot be read.
    """
    number = 0
    try:
        with _opened(file) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                place = f"{file.name} line {number}"
                if len(line) > MAX_LINE_BYTES:
                    raise UserError(f"{place}: expected at most {MAX_LINE_BYTES} bytes; got more.")
                text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
                if text.strip():
                    yield place, object_from_line(text, place)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{file.name}: after line {number}: the gzip data are damaged or cut short ({error}). "
            "Copy the file again."
        ) from None
    except OSError as error:
        raise PlatformError(f"{file.name}: cannot be read ({error.strerror}).") from None


def object_from_line(line: bytes, place: str) -> dict[str, object]:
    """Return the JSON object in a line or a request body.

    Raises:
        UserError: It is not JSON, not UTF-8, or not an object.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(
            f"{place}: expected a JSON object in UTF-8; {error.msg} (character {error.pos})."
        ) from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: expected a JSON object; got {shown(value)}.")
    return value


def _opened(file: DataFile) -> IO[bytes] | gzip.GzipFile:
    plain = file.path.open("rb")
    magic = plain.read(len(GZIP_MAGIC))
    plain.seek(0)
    if magic == GZIP_MAGIC:
        plain.close()
        return gzip.open(file.path, "rb")
    return plain
