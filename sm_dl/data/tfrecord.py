"""TFRecord framing: only what splitting an object into records needs.

A record is a length of eight bytes, its checksum, the bytes, their checksum; checksums are CRC-32C,
rotated and shifted ("masked") as TensorFlow does. No algorithm here reads the payloads.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from sm_dl.errors import UserError, optional_import

HEADER = struct.Struct("<QI")
CHECKSUM = struct.Struct("<I")
LENGTH_BYTES = 8
MASK_DELTA = 0xA282EAD8
WORD = 0xFFFFFFFF


def read_records(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield the payloads of `stream` in order, holding one record in memory at a time.

    Args:
        stream: Binary and forward-only.
        name: What to call the stream in an error.
        max_bytes: Largest payload; nothing of a larger one is read.
    Raises:
        UserError: The bytes are not TFRecord, or damaged, or a record is larger.
    """
    for frame in read_frames(stream, name, max_bytes):
        yield frame[HEADER.size : -CHECKSUM.size]


def read_frames(stream: BinaryIO, name: str, max_bytes: int) -> Iterator[bytes]:
    """Yield each record of `stream` as it stands, length and checksums included.

    Args and errors are those of `read_records`.
    """
    crc32c = optional_import("google_crc32c", extra="tfrecord", purpose=f"{name}: reading TFRecord")
    offset_bytes = 0
    while header := stream.read(HEADER.size):
        place = f"{name}: byte {offset_bytes}"
        if len(header) < HEADER.size:
            raise _cut_short(place)
        length, checksum = HEADER.unpack(header)
        if checksum != masked(crc32c.value(header[:LENGTH_BYTES])):
            raise UserError(
                f"{place}: expected a TFRecord length with its checksum; got 0x{header.hex()}. "
                "Give the split type the data really have."
            )
        if length > max_bytes:
            raise UserError(
                f"{place}: expected a record of at most {max_bytes} bytes; got {length}. "
                "Write smaller records, or allow a larger payload."
            )
        rest = stream.read(length + CHECKSUM.size)
        if len(rest) < length + CHECKSUM.size:
            raise _cut_short(place)
        content, checksum = rest[:length], CHECKSUM.unpack(rest[length:])[0]
        if checksum != masked(crc32c.value(content)):
            raise UserError(f"{place}: the TFRecord checksum does not fit; copy the file again.")
        yield header + rest
        offset_bytes += len(header) + len(rest)


def masked(checksum: int) -> int:
    """Return a CRC-32C as TFRecord stores it."""
    return ((checksum >> 15 | checksum << 17) + MASK_DELTA) & WORD


def _cut_short(place: str) -> UserError:
    return UserError(f"{place}: the last TFRecord record is cut short. Copy the file again.")
