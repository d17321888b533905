"""Arrays to protobuf records, byte for byte as the service's SDK writes them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.protobuf.columns import Csr
from sm_dl.data.protobuf.numbers import encode_varints
from sm_dl.data.protobuf.wire import (
    BYTES,
    CONTENT_TYPE,
    FEATURES,
    FLOAT32,
    FLOAT64,
    INT32,
    KEYS,
    LABEL,
    SHAPE,
    TEXTS,
    VALUES,
    length_field,
    varint,
)
from sm_dl.errors import UserError

NAME = "values"
"""Under which a plain vector and its label stand."""
INT32_RANGE = np.iinfo(np.int32)


@dataclass(frozen=True)
class Tensor:
    """One value of a record: a dense vector, or a sparse one with keys and shape."""

    values: NDArray[Any]
    keys: NDArray[Any] | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Blob:
    """One value of a record: bytes, e.g. of an image."""

    content: bytes
    content_type: str | None = None


def record_bytes(
    features: Mapping[str, Tensor | Blob],
    label: Mapping[str, Tensor | Blob] | None = None,
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """Return one record; names come in the order given.

    Args:
        features: What the record holds, by name.
        label: Its labels, by name.
        texts: `uid`, `metadata` and `configuration`, as far as there are any.
    Raises:
        UserError: A value is of a type the format lacks.
    """
    numbers = {name: number for number, name in TEXTS.items()}
    return b"".join(
        (
            *(_entry(FEATURES, name, _value(value)) for name, value in features.items()),
            *(_entry(LABEL, name, _value(value)) for name, value in (label or {}).items()),
            *(
                length_field(numbers[name], text.encode())
                for name, text in sorted((texts or {}).items(), key=lambda item: numbers[item[0]])
            ),
        )
    )


def dense_records(rows: NDArray[Any], labels: NDArray[Any] | None = None) -> Iterator[bytes]:
    """Yield a record for each row of a matrix, with the label of the row."""
    kind, pieces = _number_pieces(rows.ravel(), np.full(len(rows), rows.shape[1]))
    return _records(kind, [_packed(VALUES, piece) for piece in pieces], labels)


def sparse_records(rows: Csr, labels: NDArray[Any] | None = None) -> Iterator[bytes]:
    """Yield a record for each sparse row, with the label of the row."""
    counts = np.diff(rows.row_starts)
    kind, pieces = _number_pieces(rows.values, counts)
    key_bytes, widths = encode_varints(rows.columns.astype(np.uint64))
    shape = _packed(SHAPE, varint(rows.num_columns))
    tensors = [
        _packed(VALUES, values) + _packed(KEYS, keys) + shape
        for values, keys in zip(pieces, _cut(key_bytes, widths, counts), strict=True)
    ]
    return _records(kind, tensors, labels)


def _records(kind: int, tensors: Iterable[bytes], labels: NDArray[Any] | None) -> Iterator[bytes]:
    entries = (_entry(FEATURES, NAME, length_field(kind, tensor)) for tensor in tensors)
    if labels is None:
        yield from entries
        return
    label_kind, pieces = _number_pieces(labels, np.ones(len(labels), dtype=np.int64))
    for entry, piece in zip(entries, pieces, strict=True):
        yield entry + _entry(LABEL, NAME, length_field(label_kind, _packed(VALUES, piece)))


def _value(value: Tensor | Blob) -> bytes:
    if isinstance(value, Blob):
        kind = value.content_type
        named = b"" if kind is None else length_field(CONTENT_TYPE, kind.encode())
        return length_field(BYTES, length_field(VALUES, value.content) + named)
    kind_number, (values,) = _number_pieces(value.values, np.array([len(value.values)]))
    keys = b"" if value.keys is None else encode_varints(value.keys.astype(np.uint64))[0].tobytes()
    shape = encode_varints(np.array(value.shape or (), dtype=np.uint64))[0].tobytes()
    tensor = _packed(VALUES, values) + _packed(KEYS, keys) + _packed(SHAPE, shape)
    return length_field(kind_number, tensor)


def _number_pieces(values: NDArray[Any], counts: NDArray[Any]) -> tuple[int, list[bytes]]:
    """Return the type of some values, and the wire format of each row of them."""
    if values.dtype in (np.float32, np.float64):
        width = values.dtype.itemsize
        raw = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).view(np.uint8)
        kind = FLOAT32 if width == 4 else FLOAT64
        return kind, _cut(raw, np.full(len(values), width), counts)
    if values.dtype in (np.int32, np.int64):
        if len(values) and not (
            INT32_RANGE.min <= values.min() and values.max() <= INT32_RANGE.max
        ):
            raise UserError(
                f"whole numbers of a record have 32 bits; got {values.min()} to {values.max()}. "
                "Convert them to float64."
            )
        raw, widths = encode_varints(values.astype(np.int64).view(np.uint64))
        return INT32, _cut(raw, widths, counts)
    raise UserError(
        f"expected values of type float32, float64, int32 or int64; got {values.dtype.name}."
    )


def _cut(raw: NDArray[np.uint8], widths: NDArray[Any], counts: NDArray[Any]) -> list[bytes]:
    """Return the bytes of each row; `widths` has the bytes of each value, `counts` the values."""
    ends = np.concatenate([[0], np.cumsum(widths)])[np.cumsum(counts)].tolist()
    whole = raw.tobytes()
    return [whole[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _entry(number: int, name: str, value: bytes) -> bytes:
    return length_field(number, length_field(1, name.encode()) + length_field(2, value))


def _packed(number: int, content: bytes) -> bytes:
    """Return a field, or nothing for one without numbers."""
    return length_field(number, content) if content else b""
