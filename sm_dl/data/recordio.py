"""RecordIO: records in a file or a stream, read forward or by index, written in both dialects.

MXNet cuts a record where its payload holds the magic number on a whole word; the service's SDK
does not. What either wrote is read the same way: parts by length, records by flags.
"""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from sm_dl.data.frames import (
    FIRST,
    FLAG_SHIFT,
    HEADER_BYTES,
    LAST,
    MAGIC,
    MAGIC_BYTES,
    MAX_PART_BYTES,
    MIDDLE,
    WHOLE,
    WORD_BYTES,
    Integers,
    Parts,
    find_parts,
    refuse_cut,
    refuse_flag,
    refuse_garbage,
)
from sm_dl.errors import PlatformError, UserError

CHUNK_BYTES = 1 << 21
"""Asked for at once. What is held grows with the bytes that came, never with a length field."""
MAX_RECORD_BYTES = MAX_PART_BYTES
"""Longest record, all its parts together; MXNet's writer has the same limit."""


@dataclass(frozen=True)
class Frames:
    """Some records in a row: their payloads are pieces of one buffer."""

    buffer: bytes
    starts: Integers
    lengths: Integers
    offsets_bytes: Integers
    """Where each record begins in the stream."""
    first: int
    """Number of the first record in the stream, counted from 1."""
    name: str
    numbers: Integers | None = None
    """Number of each record, where some between them are left out."""

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.starts)

    def payloads(self) -> list[bytes]:
        """Return the payloads, in order."""
        buffer = self.buffer
        ends = (self.starts + self.lengths).tolist()
        return [buffer[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True)]

    def place(self, index: int) -> str:
        """Return what to call a record of these in an error."""
        number = self.first + index if self.numbers is None else int(self.numbers[index])
        return place(self.name, number, int(self.offsets_bytes[index]))

    def without(self, index: Sequence[int]) -> "Frames":
        """Return all records but some; each keeps its number and its offset."""
        numbers = np.arange(self.first, self.first + len(self))
        return Frames(
            self.buffer,
            np.delete(self.starts, index),
            np.delete(self.lengths, index),
            np.delete(self.offsets_bytes, index),
            self.first,
            self.name,
            np.delete(numbers if self.numbers is None else self.numbers, index),
        )


def place(name: str, number: int, offset_bytes: int) -> str:
    """Return what to call a record in an error; `number` counts from 1."""
    return f"{name} record {number} at byte {offset_bytes}"


def read_records(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the payloads of `stream` in order, holding a record and some MiB in memory at a time.

    Args:
        stream: Binary and forward-only: a file, a Pipe-mode FIFO or an S3 body.
        name: What to call the stream in an error, e.g. `train/part-00003.pbr`.
    Raises:
        UserError: The bytes are not RecordIO, or the last record is cut short.
        PlatformError: The stream cannot be read.
    """
    for frames in read_frames(stream, name):
        yield from frames.payloads()


def read_frames(stream: BinaryIO, name: str) -> Iterator[Frames]:
    """Yield the records of `stream` in order, as many at a time as 2 MiB hold, but whole ones.

    Raises:
        UserError: The bytes are not RecordIO, or the last record is cut short.
        PlatformError: The stream cannot be read.
    """
    buffer, offset, number, wanted = b"", 0, 1, CHUNK_BYTES
    while True:
        more = _read(stream, wanted, name)
        buffer = b"".join((buffer, *more)) if buffer or len(more) > 1 else more[0] if more else b""
        if not buffer:
            return
        parts = find_parts(buffer)
        begins, ends, num_good = _records(parts)
        frames = _frames(buffer, parts, (begins, ends), (offset, number, name))
        if len(frames):
            yield frames
        next_part = int(begins[len(ends)]) if len(begins) > len(ends) else num_good
        used = int(parts.offsets[next_part]) if next_part < len(parts.flags) else parts.end
        offset, number = offset + used, number + len(ends)
        here, left = place(name, number, offset), len(buffer) - used
        if num_good < len(parts.flags):
            raise refuse_flag(here)
        if parts.is_garbage:
            raise refuse_garbage(
                place(name, number, offset + parts.end - used), buffer[parts.end :]
            )
        if left > MAX_RECORD_BYTES + HEADER_BYTES + WORD_BYTES:
            raise UserError(f"{here}: expected a record of at most {MAX_RECORD_BYTES} bytes.")
        needed = parts.end_needed - used
        if sum(map(len, more)) < wanted:
            if left:
                raise refuse_cut(here, needed, left)
            return
        buffer = buffer[used:]
        if parts.end == used and needed > CHUNK_BYTES and _is_begin_of_whole(buffer, needed):
            payload = _long_payload(stream, buffer, here, name)
            zero = np.zeros(1, dtype=np.int64)
            yield Frames(payload, zero, zero + len(payload), zero + offset, number, name)
            buffer, offset, number, needed, left = b"", offset + needed, number + 1, 0, 0
        # the parts of one record are looked at again with each read: so read more each time
        wanted = max(CHUNK_BYTES, needed - left, left if parts.end > used else 0)


def _is_begin_of_whole(buffer: bytes, needed: int) -> bool:
    """Return whether a buffer begins a record of one part and lacks more than its padding."""
    flag = buffer[HEADER_BYTES - 1] >> FLAG_SHIFT % 8
    return flag == WHOLE and len(buffer) + WORD_BYTES <= needed


def _long_payload(stream: BinaryIO, begin: bytes, here: str, name: str) -> bytes:
    """Return the payload of a record of one part that begins with `begin`, copied once."""
    length = int.from_bytes(begin[WORD_BYTES:HEADER_BYTES], "little") & MAX_PART_BYTES
    num_left = HEADER_BYTES + length - len(begin)
    padding = -length % WORD_BYTES
    if _num_bytes_left(stream) >= num_left + padding:  # so a file may be asked for them all
        payload = _reread(stream, num_left - length, length, name)
        if len(payload) == length and len(b"".join(_read(stream, padding, name))) == padding:
            return payload
        raise PlatformError(f"{name}: became shorter while it was read.")
    pieces = _read(stream, num_left, name)
    num_read = sum(map(len, pieces)) + sum(map(len, _read(stream, padding, name)))
    if num_read < num_left + padding:
        raise refuse_cut(here, HEADER_BYTES + length + padding, len(begin) + num_read)
    return b"".join((memoryview(begin)[HEADER_BYTES:], *pieces))


def _reread(stream: BinaryIO, step: int, num_bytes: int, name: str) -> bytes:
    """Return bytes of a file that begin `step` from here, read in one piece."""
    try:
        stream.seek(step, io.SEEK_CUR)
        return stream.read(num_bytes)
    except OSError as error:
        raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None


def _num_bytes_left(stream: BinaryIO) -> int:
    """Return how many bytes of a plain file are to come; 0 for any other stream."""
    if not isinstance(stream, io.BufferedReader) or not isinstance(stream.raw, io.FileIO):
        return 0
    status = os.fstat(stream.fileno())
    return status.st_size - stream.tell() if stat.S_ISREG(status.st_mode) else 0


def _read(stream: BinaryIO, wanted: int, name: str) -> list[bytes]:
    """Return `wanted` bytes in pieces, fewer only at the end of the stream."""
    pieces = []
    try:
        while wanted and (piece := stream.read(min(wanted, CHUNK_BYTES))):
            pieces.append(piece)
            wanted -= len(piece)
    except OSError as error:
        raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None
    return pieces


def _records(parts: Parts) -> tuple[Integers, Integers, int]:
    """Return the first part of each record, the last one of each whole record, and how many are good.

    From the first flag on that does not follow from the one before it, no part is.
    """
    flags = parts.flags
    if not flags.any():
        every = np.arange(len(flags))
        return every, every, len(flags)
    before = np.concatenate([[LAST], flags[:-1]])
    begins = (flags == WHOLE) | (flags == FIRST)
    wrong = np.flatnonzero((begins != ((before == WHOLE) | (before == LAST))) | (flags > LAST))
    num_good = int(wrong[0]) if len(wrong) else len(flags)
    good = flags[:num_good]
    ends = np.flatnonzero((good == WHOLE) | (good == LAST))
    return np.flatnonzero(begins[:num_good]), ends, num_good


def _frames(
    buffer: bytes,
    parts: Parts,
    records: tuple[Integers, Integers],
    position: tuple[int, int, str],
) -> Frames:
    """Return the whole records as pieces of one buffer: a new one when some have several parts."""
    begins, ends = records
    offset, number, name = position
    begins = begins[: len(ends)]
    offsets = parts.offsets[begins] + offset
    starts = parts.offsets + HEADER_BYTES
    if np.array_equal(begins, ends):
        return Frames(buffer, starts[begins], parts.lengths[begins], offsets, number, name)
    stops = (starts + parts.lengths).tolist()
    pieces = [buffer[start:stop] for start, stop in zip(starts.tolist(), stops, strict=True)]
    payloads = [
        MAGIC_BYTES.join(pieces[begin : end + 1])
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    lengths = np.array([len(payload) for payload in payloads], dtype=np.int64)
    joined = b"".join(payloads)
    return Frames(joined, np.cumsum(lengths) - lengths, lengths, offsets, number, name)


def framed(payload: bytes, *, cuts: bool) -> bytes:
    """Return the record that holds `payload`.

    Args:
        payload: Up to 2^29 - 1 bytes.
        cuts: As MXNet writes it, in parts where the payload holds the magic number on a whole
            word; else as the service's SDK does, always in one.
    Raises:
        UserError: The payload is too long.
    """
    if len(payload) > MAX_RECORD_BYTES:
        raise UserError(
            f"a RecordIO record holds at most {MAX_RECORD_BYTES} bytes; got {len(payload)}."
        )
    padding = bytes(-len(payload) % WORD_BYTES)
    if not cuts or MAGIC_BYTES not in payload:
        return b"".join((_header(WHOLE, len(payload)), payload, padding))
    words = np.frombuffer(payload, dtype="<u4", count=len(payload) // WORD_BYTES)
    at = [position * WORD_BYTES for position in np.flatnonzero(words == MAGIC).tolist()]
    begins = [0, *(position + WORD_BYTES for position in at)]
    pieces = [payload[begin:end] for begin, end in zip(begins, [*at, None], strict=True)]
    flags = [FIRST, *(len(pieces) - 2) * [MIDDLE], LAST] if len(pieces) > 1 else [WHOLE]
    headed = (_header(flag, len(piece)) + piece for flag, piece in zip(flags, pieces, strict=True))
    return b"".join((*headed, padding))


def _header(flag: int, num_bytes: int) -> bytes:
    return MAGIC_BYTES + (flag << FLAG_SHIFT | num_bytes).to_bytes(WORD_BYTES, "little")
