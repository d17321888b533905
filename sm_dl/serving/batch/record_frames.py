"""RecordIO records cut out of an object, alone or in their frames, none larger than a payload.

A record is one part or several: magic, a word of part flag and length, the bytes, zeros up to a
multiple of four. MXNet's writer cuts a record where the magic lies in it at a multiple of four and
drops the magic there; the SageMaker SDK's writer does not cut. Reading by length serves both.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from sm_dl.data.frames import (
    FIRST,
    FLAG_SHIFT,
    LAST,
    MAGIC_BYTES,
    MAX_PART_BYTES,
    MIDDLE,
    WHOLE,
)
from sm_dl.errors import UserError

HEADER = struct.Struct("<II")


class _Part(NamedTuple):
    flag: int
    header: bytes
    content: bytes
    padding: bytes


def read_records(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the payloads of `stream` in order, holding one record in memory at a time.

    Args:
        stream: Binary and forward-only: a file, a FIFO or a decompressed one; `read(n)` returns
            less than n bytes at the end only.
        name: What to call the stream in an error, e.g. "train/part-00003.rec".
        max_bytes: Largest payload; nothing of a larger one is read.
    Raises:
        UserError: The bytes are not RecordIO, a record is larger, or the last one is cut short.
    """
    for parts in _records(stream, name, max_bytes):
        yield MAGIC_BYTES.join(part.content for part in parts)


def read_frames(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield each record of `stream` as it stands, frame and padding included.

    Args and errors are those of `read_records`.
    """
    for parts in _records(stream, name, max_bytes):
        yield b"".join(piece for part in parts for piece in part[1:])


def _records(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[list[_Part]]:
    parts: list[_Part] = []
    offset_bytes = size_bytes = 0
    while header := stream.read(HEADER.size):
        place = f"{name}: byte {offset_bytes}"
        flag, length = _parse(header, place, is_inside=bool(parts))
        size_bytes += length + (len(MAGIC_BYTES) if parts else 0)
        if size_bytes > max_bytes:
            raise UserError(
                f"{place}: expected a record of at most {max_bytes} bytes; got {size_bytes} or "
                "more. Write smaller records, or allow a larger payload."
            )
        content, padding = stream.read(length), stream.read(-length % 4)
        if len(content) < length or len(padding) < -length % 4:
            raise _cut_short(place)
        parts.append(_Part(flag, header, content, padding))
        offset_bytes += len(header) + len(content) + len(padding)
        if flag in (WHOLE, LAST):
            yield parts
            parts, size_bytes = [], 0
    if parts:
        raise _cut_short(f"{name}: byte {offset_bytes}")


def _parse(header: bytes, place: str, *, is_inside: bool) -> tuple[int, int]:
    """Return the part flag and the length a header gives."""
    if not MAGIC_BYTES.startswith(header[: len(MAGIC_BYTES)]):
        raise UserError(
            f"{place}: expected RecordIO magic 0x{MAGIC_BYTES.hex()}, got 0x{header[:4].hex()}. "
            "Give the content type and the split type the data really have; a Pipe-mode channel "
            "of other objects needs RecordWrapperType RecordIO."
        )
    if len(header) < HEADER.size:
        raise _cut_short(place)
    word: int = HEADER.unpack(header)[1]
    flag, length = word >> FLAG_SHIFT, word & MAX_PART_BYTES
    expected = (MIDDLE, LAST) if is_inside else (WHOLE, FIRST)
    if flag not in expected:
        raise UserError(
            f"{place}: expected a RecordIO part flag of {expected[0]} or {expected[1]}; "
            f"got {flag}. The file is damaged; write it again."
        )
    return flag, length


def _cut_short(place: str) -> UserError:
    return UserError(f"{place}: the last RecordIO record is cut short. Copy the file again.")
