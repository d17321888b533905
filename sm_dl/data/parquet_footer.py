"""What a Parquet file says of its own size, read before anything is decoded.

pyarrow ends the whole process (std::terminate) when it is asked for the column sizes of some damaged
footers, where its reader would raise an error; and it believes the header of a page, not the footer,
so 300 bytes can become gigabytes. So footer and page headers are read here: structs of Thrift's
compact protocol (parquet.thrift, FileMetaData and PageHeader), of which few numbers matter.
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


HEADER_BYTES = (1 << 10, 1 << 20)
"""Read for the header of a page: enough for nearly all, and the most that one may take."""
DICTIONARY_PAGE = 2
VALUES_OF_PAGE = {0: 5, DICTIONARY_PAGE: 7, 3: 8}
"""By type of page, the field whose first field is the number of values."""


@dataclass(frozen=True)
class Chunk:
    """The size of one column of a row group."""

    start: int
    """Position of its first page in the file."""
    num_values: int
    num_bytes: int
    """Before compression."""
    stored_bytes: int


@dataclass(frozen=True)
class RowGroup:
    """The size of a row group."""

    num_rows: int
    chunks: tuple[Chunk, ...]

    @property
    def num_values(self) -> int:
        """Return the values of the longest column; more than rows where rows hold lists."""
        return max([self.num_rows, *(chunk.num_values for chunk in self.chunks)])

    @property
    def num_bytes(self) -> int:
        """Return the bytes of all columns, before compression."""
        return sum(chunk.num_bytes for chunk in self.chunks)

    @property
    def stored_bytes(self) -> int:
        """Return the bytes that all columns take in the file."""
        return sum(chunk.stored_bytes for chunk in self.chunks)


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


def check_pages(stream: BinaryIO, group: RowGroup) -> None:
    """Refuse a row group whose pages hold more than the footer declares.

    Raises:
        ValueError: They do, or the header of a page is broken.
    """
    for chunk in group.chunks:
        if not chunk.num_values:
            continue  # nobody reads its pages, and its start may be anything
        position, num_values, num_bytes = chunk.start, 0, 0
        while position < chunk.start + chunk.stored_bytes:
            page, header_bytes = _page_header(stream, position)
            kind, page_bytes = _size(page, 1), _size(page, 2)
            position += header_bytes + _size(page, 3)
            num_bytes += page_bytes  # writers differ in whether headers count
            if kind in VALUES_OF_PAGE:
                values = _size(_typed(page.get(VALUES_OF_PAGE[kind]), dict), 1)
                if kind != DICTIONARY_PAGE:
                    num_values += values
                elif values > page_bytes:
                    raise ValueError(f"a dictionary of {page_bytes} bytes names {values} values")
        if num_values > chunk.num_values or num_bytes > chunk.num_bytes + HEADER_BYTES[0]:
            raise ValueError(
                f"a column of {chunk.num_values} values and {chunk.num_bytes} bytes has pages of "
                f"{num_values} values and {num_bytes} bytes"
            )


def _page_header(stream: BinaryIO, position: int) -> tuple[dict[int, object], int]:
    """Return the fields of the header at a position, and how many bytes it takes."""
    for most in HEADER_BYTES:
        stream.seek(position)
        header = _Compact(stream.read(most))
        try:
            return header.struct(MAX_DEPTH), header.position
        except ValueError:
            if most == HEADER_BYTES[-1]:
                raise
    raise ValueError("a page has no header")


def _row_group(fields: object) -> RowGroup:
    group = _typed(fields, dict)
    chunks = [_typed(chunk, dict).get(3) for chunk in _typed(group.get(1), list)]
    return RowGroup(_size(group, 3), tuple(_chunk(_typed(chunk, dict)) for chunk in chunks))


def _chunk(column: dict[int, object]) -> Chunk:
    start = _size(column, 9)
    dictionary = _size(column, 11) if 11 in column else 0
    return Chunk(
        start=dictionary if 0 < dictionary < start else start,
        num_values=_size(column, 5),
        num_bytes=_size(column, 6),
        stored_bytes=_size(column, 7),
    )


def _typed(value: object, kind: type) -> Any:  # noqa: ANN401 - checked here
    if not isinstance(value, kind):
        raise ValueError("the footer or a page header lacks a field")  # noqa: TRY004 - of the data
    return value


def _size(fields: dict[int, object], number: int) -> int:
    value = int(_typed(fields.get(number), int))
    if value < 0:
        raise ValueError(f"a size in the footer is {value}")
    return value


class _Compact:
    """Reads values one behind the other; never more of them than there are bytes."""

    def __init__(self, content: bytes) -> None:
        self._content, self.position = content, 0

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
        if length > len(self._content) - self.position:
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
        end = self.position + length
        if end > len(self._content):
            raise ValueError("the footer is cut short")
        self.position, begin = end, self.position
        return self._content[begin:end]
