"""What a Parquet file says of its own size, read before anything is decoded.

pyarrow ends the whole process (std::terminate) when it is asked for the column sizes of some damaged
footers, where its reader would raise an error. So the footer is read here: a struct of Thrift's
compact protocol (parquet.thrift, struct FileMetaData), of which four numbers matter.
"""

import io
from dataclasses import dataclass
from typing import Any, BinaryIO

MAGIC = b"PAR1"
TAIL_BYTES = 8
MAX_FOOTER_BYTES = 1 << 24
"""A column of a row group takes about 200 bytes; reading this much takes seconds."""
MAX_DEPTH = 16
STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
"""Types of the compact protocol."""


@dataclass(frozen=True)
class RowGroup:
    """The size of a row group."""

    num_rows: int
    num_values: int
    """Of its longest column; more than rows where rows hold lists."""
    num_bytes: int
    """Of all columns, before compression."""
    stored_bytes: int


def read_footer(stream: BinaryIO) -> list[RowGroup]:
    """Return the size of each row group, as the file declares it.

    Raises:
        ValueError: There is no footer, or it is too long or broken.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - TAIL_BYTES))
    tail = stream.read(TAIL_BYTES)
    if len(tail) < TAIL_BYTES or not tail.endswith(MAGIC):
        raise ValueError("the magic bytes of the footer are missing")
    length = int.from_bytes(tail[:4], "little")
    if length > min(MAX_FOOTER_BYTES, size - TAIL_BYTES):
        raise ValueError(f"the footer of {length} bytes is too long")
    stream.seek(size - TAIL_BYTES - length)
    fields = _Compact(stream.read(length)).struct(MAX_DEPTH)
    return [_row_group(group) for group in _typed(fields.get(4, []), list)]


def _row_group(fields: object) -> RowGroup:
    group = _typed(fields, dict)
    chunks = [_typed(chunk, dict).get(3) for chunk in _typed(group.get(1), list)]
    columns = [_typed(column, dict) for column in chunks]
    num_rows = _size(group, 3)
    return RowGroup(
        num_rows=num_rows,
        num_values=max([num_rows, *(_size(column, 5) for column in columns)]),
        num_bytes=sum(_size(column, 6) for column in columns),
        stored_bytes=sum(_size(column, 7) for column in columns),
    )


def _typed(value: object, kind: type) -> Any:  # noqa: ANN401 - checked here
    if not isinstance(value, kind):
        raise ValueError("the footer does not describe row groups")  # noqa: TRY004 - of the data
    return value


def _size(fields: dict[int, object], number: int) -> int:
    value = int(_typed(fields.get(number), int))
    if value < 0:
        raise ValueError(f"a size in the footer is {value}")
    return value


class _Compact:
    """Reads values one behind the other; never more of them than there are bytes."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def struct(self, depth: int) -> dict[int, object]:
        """Return the fields of a struct by their numbers."""
        if not depth:
            raise ValueError("the footer is nested too deeply")
        fields: dict[int, object] = {}
        number = 0
        while (header := self._byte()) != STOP:
            number = number + (header >> 4) if header >> 4 else self._integer()
            kind = header & 15
            fields[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> object:
        if kind in (I16, I32, I64):
            return self._integer()
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind == STRUCT:
            return self.struct(depth - 1)
        if kind in (LIST, SET):
            return self._list(depth)
        if kind == DOUBLE:
            return self._bytes(8)
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        raise ValueError(f"the footer holds a value of type {kind}")  # no map is in parquet.thrift

    def _list(self, depth: int) -> list[object]:
        header = self._byte()
        length = header >> 4 if header >> 4 < 15 else self._varint()
        if length > len(self._content) - self._position:
            raise ValueError("a list in the footer is longer than the footer")
        return [self._value(header & 15, depth) for _ in range(length)]

    def _integer(self) -> int:
        word = self._varint()
        return word >> 1 ^ -(word & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number in the footer has more than 64 bits")

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._content):
            raise ValueError("the footer is cut short")
        self._position, begin = end, self._position
        return self._content[begin:end]
