"""Records by number: the `.idx` file beside a RecordIO file, and reading at an offset."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sm_dl.data.frames import (
    FIRST,
    FLAG_SHIFT,
    HEADER_BYTES,
    LAST,
    MAGIC_BYTES,
    MAX_PART_BYTES,
    MIDDLE,
    WHOLE,
    WORD_BYTES,
    Integers,
    refuse_cut,
    refuse_flag,
    refuse_garbage,
)
from sm_dl.data.recordio import place, read_frames
from sm_dl.errors import PlatformError, UserError, shown

INDEX_SUFFIX = ".idx"
MAX_LINE_CHARACTERS = 64
"""Longer than two 64-bit numbers: a line beyond it is no index."""


def read_index(path: Path, name: str) -> tuple[list[int], list[int]]:
    """Return the ids and the byte offsets that an index lists, in its order.

    Raises:
        UserError: A line is not `id<TAB>offset` in whole numbers.
        PlatformError: The file cannot be read.
    """
    ids, offsets = [], []
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_LINE_CHARACTERS + 1):
                number += 1
                if line.strip():
                    identity, offset = _entry(line, f"{name} line {number}")
                    ids.append(identity)
                    offsets.append(offset)
    except OSError as error:
        raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None
    return ids, offsets


def _entry(line: bytes, place_of_line: str) -> tuple[int, int]:
    fields = line.strip().split(b"\t")
    if len(line) <= MAX_LINE_CHARACTERS and len(fields) == 2 and all(map(bytes.isdigit, fields)):
        return int(fields[0]), int(fields[1])
    raise UserError(
        f"{place_of_line}: expected an index line: id, tab, byte offset; got {shown(line)}. "
        "Write the index again, or remove it: it is optional."
    )


def index_line(identity: int, offset_bytes: int) -> bytes:
    """Return one line of an index."""
    return b"%d\t%d\n" % (identity, offset_bytes)


def find_offsets(path: Path, name: str) -> Integers:
    """Return where each record of a file begins, found by reading it once.

    Raises:
        UserError: The file is not RecordIO.
        PlatformError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            found = [frames.offsets_bytes for frames in read_frames(stream, name)]
    except OSError as error:
        raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def record_heads(path: Path, name: str, num_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield where each record of a file begins, and the first bytes of its payload.

    What lies between is stepped over, so a file of large records is gone through in no time.

    Args:
        path: The file.
        name: What to call it in an error.
        num_bytes: As many bytes of each payload, or fewer where it is shorter; of a record in
            several parts there may be more.
    Raises:
        UserError: The file is not RecordIO.
        PlatformError: It cannot be read.
    """
    offsets: list[int] = []
    with RecordFile(path, name, offsets) as file:
        offset = 0
        while offset < file.size_bytes:
            offsets.append(offset)
            head, offset = file.head(len(offsets) - 1, num_bytes)
            yield offsets[-1], head


class RecordFile:
    """A RecordIO file whose records are read by their position in a list of offsets.

    Reading moves no shared position, so threads and forked workers may use one object.
    """

    def __init__(self, path: Path, name: str, offsets_bytes: Sequence[int] | Integers) -> None:
        self._name = name
        self._offsets_bytes = offsets_bytes
        try:
            self._stream = path.open("rb", buffering=0)
            self.size_bytes = os.fstat(self._stream.fileno()).st_size
        except OSError as error:
            raise PlatformError(f"{name}: cannot be read ({error.strerror}).") from None

    def __len__(self) -> int:
        return len(self._offsets_bytes)

    def __getitem__(self, index: int) -> bytes:
        """Return the payload of one record.

        Raises:
            UserError: No whole record begins at its offset.
        """
        return self._record(index)[0]

    def head(self, index: int, num_bytes: int) -> tuple[bytes, int]:
        """Return the first bytes of a record's payload, and where the record ends.

        Raises:
            UserError: No whole record begins at its offset.
        """
        offset = int(self._offsets_bytes[index])
        begin = self._bytes(offset, HEADER_BYTES + num_bytes)
        word = int.from_bytes(begin[WORD_BYTES:HEADER_BYTES], "little")
        length = word & MAX_PART_BYTES
        end = offset + HEADER_BYTES + length + -length % WORD_BYTES
        is_whole = begin.startswith(MAGIC_BYTES) and word >> FLAG_SHIFT == WHOLE
        if is_whole and len(begin) >= HEADER_BYTES and end <= self.size_bytes:
            return begin[HEADER_BYTES : HEADER_BYTES + length], end
        return self._record(index)  # in several parts, or damaged

    def _record(self, index: int) -> tuple[bytes, int]:
        """Return the payload of a record, and where the record ends."""
        offset = int(self._offsets_bytes[index])
        pieces: list[bytes] = []
        expected = (WHOLE, FIRST)
        while True:
            flag, piece, num_bytes = self._part(index, offset)
            if flag not in expected:
                raise refuse_flag(self.place(index))
            pieces.append(piece)
            offset += num_bytes
            if flag in (WHOLE, LAST):
                return MAGIC_BYTES.join(pieces), offset
            expected = (MIDDLE, LAST)

    def _part(self, index: int, offset: int) -> tuple[int, bytes, int]:
        """Return flag, payload and number of bytes of the part at an offset."""
        header = self._bytes(offset, HEADER_BYTES)
        if not MAGIC_BYTES.startswith(header[:WORD_BYTES]) or not header:
            raise refuse_garbage(self.place(index), header)
        word = int.from_bytes(header[WORD_BYTES:], "little")
        length = word & MAX_PART_BYTES
        num_bytes = HEADER_BYTES + length + -length % WORD_BYTES
        left = self.size_bytes - offset
        if len(header) < HEADER_BYTES or left < num_bytes:  # before as many bytes are asked for
            raise refuse_cut(self.place(index), max(num_bytes, HEADER_BYTES), left)
        piece = self._bytes(offset + HEADER_BYTES, length)
        if len(piece) < length:
            raise refuse_cut(self.place(index), num_bytes, HEADER_BYTES + len(piece))
        return word >> FLAG_SHIFT, piece, num_bytes

    def _bytes(self, offset: int, num_bytes: int) -> bytes:
        try:
            return os.pread(self._stream.fileno(), num_bytes, offset)
        except OSError as error:
            raise PlatformError(f"{self._name}: cannot be read ({error.strerror}).") from None

    def place(self, index: int) -> str:
        """Return what to call a record in an error; it is numbered by the list of offsets."""
        return place(self._name, index + 1, int(self._offsets_bytes[index]))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
