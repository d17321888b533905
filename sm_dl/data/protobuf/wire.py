"""One record in protobuf's wire format, with all the liberties a writer may take.

Fields may come in any order and in several pieces, packed or one by one; unknown ones are skipped.
Stricter than protobuf's own library: a known field of the wrong wire type is an error here, where
the library would take it for an unknown one and lose the values. So are a name or a value that
comes twice, of which the library would keep the last one, and groups, which no record has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

FEATURES, LABEL = 1, 2
TEXTS = {3: "uid", 4: "metadata", 5: "configuration"}
FLOAT32, FLOAT64, INT32, BYTES = 2, 3, 7, 9
KINDS = {
    FLOAT32: "float32_tensor",
    FLOAT64: "float64_tensor",
    INT32: "int32_tensor",
    BYTES: "bytes",
}
VALUES, KEYS, SHAPE = 1, 2, 3
CONTENT_TYPE = 2
MAX_VARINT_BYTES = 10

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_SINGLE = {FLOAT32: _FIXED32, FLOAT64: _FIXED64, INT32: _VARINT}
"""Wire type of one value that is not packed."""
MAX_KEY_BYTES = 1024


class WireError(Exception):
    """The bytes are no record; where, counted from the begin of the buffer, and why."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


@dataclass
class Value:
    """One entry of the features or labels: where the pieces of each of its fields lie."""

    kind: int = 0
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Begin and end of each piece of wire format, by field."""


Layout = tuple[tuple[int, bytes, int, tuple[int, ...]], ...]
"""What a record consists of, in order: (map, key, kind, fields of the tensor), or (text, "", 0, ())
for a text field. Only a record written in the plain way has one."""


@dataclass
class Record:
    """What one record holds."""

    entries: dict[tuple[int, bytes], Value] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)
    layout: Layout | None = ()


def parse(buffer: bytes, start: int, end: int) -> Record:
    """Return the record between two offsets of a buffer.

    Raises:
        WireError: The bytes are no record.
    """
    record = Record()
    layout: list[tuple[int, bytes, int, tuple[int, ...]]] = []
    is_plain = True
    for number, kind, begin, stop in _fields(buffer, start, end):
        if number in (FEATURES, LABEL):
            _expect(kind, (_LENGTH,), begin)
            key, value, fields = _entry(buffer, begin, stop)
            if (number, key) in record.entries:
                raise WireError(begin, f"the name {key!r} a second time")
            is_plain &= fields is not None
            record.entries[number, key] = value
            layout.append((number, key, value.kind, fields or ()))
        elif number in TEXTS:
            _expect(kind, (_LENGTH,), begin)
            is_plain &= number not in record.texts
            record.texts[number] = buffer[begin:stop]
            layout.append((number, b"", 0, ()))
        else:
            is_plain = False
    record.layout = tuple(layout) if is_plain else None
    return record


def _entry(buffer: bytes, start: int, end: int) -> tuple[bytes, Value, tuple[int, ...] | None]:
    """Return key and value of a map entry, and the tensor's fields if it is written plainly."""
    key, value = b"", Value()
    order: list[int] = []
    fields: list[int] | None = []
    for number, kind, begin, stop in _fields(buffer, start, end):
        order.append(number)
        if number == 1:
            _expect(kind, (_LENGTH,), begin)
            if stop - begin > MAX_KEY_BYTES:
                raise WireError(begin, f"a name of {stop - begin} bytes")
            key = buffer[begin:stop]
        elif number == 2:
            _expect(kind, (_LENGTH,), begin)
            fields = _value(buffer, begin, stop, value)
        else:  # the library would leave out the whole entry
            raise WireError(begin, f"field number {number} in an entry, which has name and value")
    return key, value, tuple(fields) if fields is not None and order == [1, 2] else None


def _value(buffer: bytes, start: int, end: int, value: Value) -> list[int] | None:
    """Merge a value into `value`; return the tensor's fields if it is written plainly."""
    plain: list[int] | None = []
    num_fields = 0
    for number, kind, begin, stop in _fields(buffer, start, end):
        num_fields += 1
        if number not in KINDS:
            plain = None
            continue
        _expect(kind, (_LENGTH,), begin)
        if value.kind not in (0, number):
            raise WireError(begin, f"{KINDS[value.kind]} and {KINDS[number]} under one name")
        value.kind = number
        plain = _tensor(buffer, begin, stop, value)
    return plain if num_fields == 1 else None


def _tensor(buffer: bytes, start: int, end: int, value: Value) -> list[int] | None:
    order: list[int] = []
    is_plain = True
    known = (VALUES, CONTENT_TYPE) if value.kind == BYTES else (VALUES, KEYS, SHAPE)
    for number, kind, begin, stop in _fields(buffer, start, end):
        if number not in known:
            is_plain = False
            continue
        single = _SINGLE[value.kind] if number == VALUES and value.kind != BYTES else _VARINT
        _expect(kind, (_LENGTH,) if value.kind == BYTES else (_LENGTH, single), begin)
        is_plain &= kind == _LENGTH and number not in order
        order.append(number)
        if value.kind != BYTES and kind == _LENGTH:
            _check_packed(buffer, begin, stop, single)
        value.spans.setdefault(number, []).append((begin, stop))
    return order if is_plain else None


def _check_packed(buffer: bytes, begin: int, stop: int, single: int) -> None:
    """Refuse a packed field that ends within a number."""
    width = _FIXED_BYTES.get(single)
    is_cut = (stop - begin) % width if width else stop > begin and buffer[stop - 1] >= 0x80
    if is_cut:
        raise WireError(begin, f"{stop - begin} bytes that end within a number")


def _expect(kind: int, expected: tuple[int, ...], offset: int) -> None:
    if kind not in expected:
        raise WireError(offset, f"wire type {kind} where {' or '.join(map(str, expected))} belongs")


def _fields(buffer: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number, wire type, begin, end) of each field's content."""
    while position < end:
        at = position
        tag, position = _varint(buffer, position, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(at, f"field number {number}")
        if kind == _VARINT:
            begin = position
            _, position = _varint(buffer, position, end)
        elif kind == _LENGTH:
            length, begin = _varint(buffer, position, end)
            position = begin + length
        elif kind in _FIXED_BYTES:
            begin = position
            position += _FIXED_BYTES[kind]
        else:
            raise WireError(at, f"wire type {kind}")
        if position > end:
            raise WireError(at, f"a field of {position - begin} bytes where {end - begin} are left")
        yield number, kind, begin, position


def _varint(buffer: bytes, position: int, end: int) -> tuple[int, int]:
    """Return a number and the offset after it."""
    value = shift = 0
    for at in range(position, min(end, position + MAX_VARINT_BYTES)):
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise WireError(position, "a number that does not end")


def tag(number: int) -> bytes:
    """Return what begins a field that has a length."""
    return varint(number << 3 | _LENGTH)


def varint(value: int) -> bytes:
    """Return a number in wire format."""
    pieces = bytearray()
    while value >= 0x80:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*pieces, value])


def length_field(number: int, content: bytes) -> bytes:
    """Return a field of a message, text or bytes in wire format."""
    return tag(number) + varint(len(content)) + content
