"""What MXNet's parameter files hold: names, shapes and types, without the numbers."""

import struct
from typing import BinaryIO

from sm_dl.errors import UserError

PARAMETERS_MAGIC = struct.pack("<QQ", 0x112, 0)
DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
ITEM_BYTES = (4, 8, 2, 1, 4, 1, 8, 1)
DENSE_MAGICS = (0xF993FAC9, 0xF993FACA)
"""Versions 2 and 3, which MXNet has written since 1.0."""
MAX_ARRAYS = 10_000
MAX_DIMENSIONS = 32
MAX_NAME_BYTES = 1 << 12
MAX_SHOWN = 40


def look_at_parameters(stream: BinaryIO, name: str, num_bytes: int | None) -> list[str]:
    """Return the arrays of a parameter file.

    Raises:
        UserError: It is damaged, cut short, or holds more than dense arrays.
    """
    reader = _Reader(stream, name, num_bytes)
    stream.seek(len(PARAMETERS_MAGIC))
    (num_arrays,) = reader.unpack("<Q")
    if num_arrays > MAX_ARRAYS:
        raise UserError(f"{name}: expected at most {MAX_ARRAYS} arrays; got {num_arrays}.")
    arrays = [_array(reader) for _ in range(num_arrays)]
    (num_names,) = reader.unpack("<Q")
    if num_names not in (0, num_arrays):
        raise UserError(
            f"{name}: byte {reader.at()}: expected 0 or {num_arrays} names; got {num_names}."
        )
    names = [reader.name() for _ in range(num_names)] or [str(n) for n in range(num_arrays)]
    shown = [f"  {one}  {array}" for one, array in zip(names, arrays, strict=True)][:MAX_SHOWN]
    more = [f"  and {num_arrays - MAX_SHOWN} more"] if num_arrays > MAX_SHOWN else []
    return [f"MXNet parameters: {num_arrays} arrays", *shown, *more]


class _Reader:
    """A stream of which every field is checked to be there."""

    def __init__(self, stream: BinaryIO, name: str, num_bytes: int | None) -> None:
        self._stream = stream
        self._name = name
        self._num_bytes = num_bytes

    def at(self) -> int:
        return self._stream.tell()

    def unpack(self, layout: str) -> tuple[int, ...]:
        at, wanted = self.at(), struct.calcsize(layout)
        found = self._stream.read(wanted)
        if len(found) < wanted:
            raise self.refusal(at, f"expected {wanted} bytes; got {len(found)}")
        return struct.unpack(layout, found)

    def name(self) -> str:
        at = self.at()
        (length,) = self.unpack("<Q")
        if length > MAX_NAME_BYTES:
            raise self.refusal(at, f"expected a name of at most {MAX_NAME_BYTES} bytes")
        return bytes(self.unpack(f"<{length}B")).decode(errors="replace")

    def skip(self, num_bytes: int) -> None:
        at = self.at()
        if self._num_bytes is not None and num_bytes > self._num_bytes - at:
            raise self.refusal(at, f"expected {num_bytes} bytes; got {self._num_bytes - at}")
        self._stream.seek(num_bytes, 1)

    def refusal(self, at: int, problem: str) -> UserError:
        return UserError(f"{self._name}: byte {at}: {problem}. The file is damaged or cut short.")


def _array(reader: _Reader) -> str:
    at = reader.at()
    (magic,) = reader.unpack("<I")
    if magic not in DENSE_MAGICS:
        raise reader.refusal(at, f"expected an array of version 2 or 3; got mark {magic:#x}")
    storage, num_dimensions = reader.unpack("<iI")
    if storage != 0 or num_dimensions > MAX_DIMENSIONS:
        raise reader.refusal(at, "expected a dense array")
    shape = reader.unpack(f"<{num_dimensions}q")
    *_, dtype = reader.unpack("<iii")
    if not 0 <= dtype < len(DTYPES) or any(side < 0 for side in shape):
        raise reader.refusal(at, f"expected a type of 0 to {len(DTYPES) - 1} and a shape")
    size = 1
    for side in shape:
        size *= side
    reader.skip(size * ITEM_BYTES[dtype])
    return f"{DTYPES[dtype]} {list(shape)}"
