"""Many records of one layout, all read at once: one step of NumPy for each field, not each record.

Nearly all records of a file are laid out alike and differ in lengths and values only. A record
that turns out otherwise is left to the caller; none is believed to be whole unless each of its
lengths leads exactly to the end of what holds it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.frames import Integers
from sm_dl.data.protobuf.wire import FEATURES, LABEL, Layout, length_field, tag

SLACK_BYTES = 16
"""Zero bytes behind the last record, so that a step may look a word ahead anywhere."""
MAX_LENGTH_BYTES = 5

Spans = Mapping[tuple[int, int], tuple[Integers, Integers]]
"""Begin and length of each tensor field of each record, by (entry of the layout, field)."""
_MAP_KEY, _MAP_VALUE = 1, 2


def follow(
    buffer: bytes, starts: Integers, ends: Integers, layout: Layout
) -> tuple[NDArray[np.bool_], Spans]:
    """Return which records have the layout, and where their fields are.

    Args:
        buffer: Holds the records and then at least `SLACK_BYTES` more.
        starts: First byte of each record.
        ends: Byte after each record.
        layout: What a record consists of, in order.
    """
    cursor = _Cursor(buffer, starts)
    spans = {}
    for entry, (number, key, kind, fields) in enumerate(layout):
        cursor.expect(tag(number))
        entry_ends = cursor.open(ends)
        if number not in (FEATURES, LABEL):
            spans[entry, 0] = cursor.skip_to(entry_ends)
            continue
        cursor.expect(length_field(_MAP_KEY, key) + tag(_MAP_VALUE))
        value_ends = cursor.open(entry_ends)
        cursor.expect(tag(kind))
        tensor_ends = cursor.open(value_ends)
        for name in fields:
            cursor.expect(tag(name))
            spans[entry, name] = cursor.skip_to(cursor.open(tensor_ends))
        cursor.require(cursor.positions == tensor_ends)
        cursor.require((tensor_ends == value_ends) & (value_ends == entry_ends))
    cursor.require(cursor.positions == ends)
    return cursor.is_right, spans


class _Cursor:
    """A position in each record, and whether the record has been right so far."""

    def __init__(self, buffer: bytes, starts: Integers) -> None:
        self._bytes = np.frombuffer(buffer, dtype=np.uint8)
        self._words = np.ndarray((len(buffer) - 7,), dtype="<u8", buffer=buffer, strides=(1,))
        self._home = starts
        self._limit = len(buffer) - SLACK_BYTES
        self.positions = starts
        self.is_right = np.ones(len(starts), dtype=np.bool_)

    def require(self, holds: NDArray[np.bool_]) -> None:
        """Give up the records for which something does not hold, and keep them in the buffer."""
        if not holds.all():
            self.is_right &= holds
            self.positions = np.where(self.is_right, self.positions, self._home)

    def expect(self, literal: bytes) -> None:
        """Step over bytes that are the same in each record."""
        for begin in range(0, len(literal), 8):
            piece = literal[begin : begin + 8]
            found = self._bytes[self.positions] if len(piece) == 1 else self._words[self.positions]
            if 1 < len(piece) < 8:
                found = found & np.uint64((1 << 8 * len(piece)) - 1)
            self.positions = self.positions + len(piece)
            self.require(found == int.from_bytes(piece, "little"))
            if begin:  # a long name could lead out of the buffer
                self.require(self.positions <= self._limit)

    def open(self, ends_of_holder: Integers) -> Integers:
        """Step over a length and return where what has it ends."""
        first = self._bytes[self.positions]
        lengths = (first & 0x7F).astype(np.int64)
        self.positions = self.positions + 1
        is_more = first >= 0x80
        for shift in range(7, 7 * MAX_LENGTH_BYTES, 7):
            if not is_more.any():
                break
            byte = self._bytes[self.positions]
            lengths |= np.where(is_more, (byte & 0x7F).astype(np.int64) << shift, 0)
            self.positions = self.positions + is_more
            is_more = is_more & (byte >= 0x80)
        ends = self.positions + lengths
        self.require(~is_more & (ends <= ends_of_holder))
        return np.where(self.is_right, ends, self._home)

    def skip_to(self, ends: Integers) -> tuple[Integers, Integers]:
        """Step over bytes and return where they begin and how many they are."""
        begins = self.positions
        self.positions = ends
        return begins, ends - begins
