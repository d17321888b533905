"""Pieces of wire format under one name to a column, with everything that can be wrong refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.bad_records import BadRowError
from sm_dl.data.frames import Integers
from sm_dl.data.protobuf.columns import Column
from sm_dl.data.protobuf.numbers import decode_varints, gather
from sm_dl.data.protobuf.scattered import Tensors
from sm_dl.data.protobuf.wire import FLOAT32, FLOAT64, INT32, KEYS, SHAPE, VALUES

DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT32: np.dtype("<f4"),
    FLOAT64: np.dtype("<f8"),
    INT32: np.dtype("<i4"),
}
MAX_KEY = (1 << 63) - 1
MAX_DIMENSIONS = 32


@dataclass(frozen=True)
class Places:
    """What to call a row of a column in an error."""

    of_row: Callable[[int], str]
    title: str

    def refuse(self, rows: NDArray[Any], problem: str) -> None:
        """Raise for the first of some rows that are wrong, if there are any."""
        if len(rows):
            row = int(rows[0])
            raise BadRowError(f"{self.of_row(row)}: {self.title}: {problem}", row)


def column_from(buffer: bytes, tensors: Tensors, kind: int, places: Places) -> Column:
    """Return the column that some pieces hold.

    Raises:
        UserError: Numbers are cut, or values, keys and shape do not go together.
    """
    values, counts = _values(buffer, tensors, kind, places)
    keys, key_counts = _varints(buffer, tensors, KEYS, places)
    shapes, shape_counts = _varints(buffer, tensors, SHAPE, places)
    is_sparse = _is_sparse(counts, key_counts, shape_counts, places)
    shape = _one_shape(shapes, shape_counts, places)
    row_starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=row_starts[1:])
    size = int(np.prod(shape, dtype=object)) if shape is not None else None
    if is_sparse:
        _check_sparse(keys, (key_counts, counts), size, places)
    elif size is not None:
        wrong = np.flatnonzero(counts != size)
        places.refuse(
            wrong,
            f"expected {size} values, for the shape {list(shape or ())}; "
            f"got {counts[wrong[0]] if len(wrong) else 0}.",
        )
    return Column(
        places.title, values, row_starts, keys.astype(np.int64), shape, is_sparse, places.of_row
    )


def _is_sparse(
    counts: Integers, key_counts: Integers, shape_counts: Integers, places: Places
) -> bool:
    """Return whether rows are sparse; a row of zeros has a shape only. The first row decides."""
    sparse = np.flatnonzero((key_counts > 0) | ((counts == 0) & (shape_counts > 0)))
    dense = np.flatnonzero((counts > 0) & (key_counts == 0))
    if len(sparse) and len(dense):
        if dense[0] < sparse[0]:
            places.refuse(
                sparse, "expected a dense row, as in the records before; got a sparse one."
            )
        places.refuse(dense, "expected a sparse row, as in the records before; got a dense one.")
    return len(sparse) > 0


def _values(
    buffer: bytes, tensors: Tensors, kind: int, places: Places
) -> tuple[NDArray[Any], Integers]:
    """Return the values of all rows, and how many each row has."""
    if kind == INT32:
        numbers, counts = _varints(buffer, tensors, VALUES, places)
        # protobuf keeps the low 32 bits; a negative number was written with its sign in all 64
        return numbers.astype(np.uint32).view(np.int32), counts
    dtype = DTYPES[kind]
    starts, lengths, replaced = tensors.span(VALUES)
    wrong = np.flatnonzero(lengths % dtype.itemsize)
    places.refuse(wrong, f"expected whole values of {dtype.itemsize} bytes; the last one is cut.")
    return gather(buffer, starts, lengths, replaced).view(dtype), lengths // dtype.itemsize


def _varints(
    buffer: bytes, tensors: Tensors, field: int, places: Places
) -> tuple[NDArray[np.uint64], Integers]:
    if field not in tensors:
        return np.zeros(0, dtype=np.uint64), np.zeros_like(tensors.kinds)
    starts, lengths, replaced = tensors.span(field)
    data = gather(buffer, starts, lengths, replaced)
    numbers, counts, wrong = decode_varints(data, lengths)
    if wrong is not None:
        places.refuse(np.array([wrong]), "holds a number that does not end.")
    return numbers, counts


def _one_shape(
    shapes: NDArray[np.uint64], counts: Integers, places: Places
) -> tuple[int, ...] | None:
    """Return the shape that all rows have, or None when none has one."""
    if not len(shapes):
        return None
    num_dimensions = int(counts[0])
    wrong = np.flatnonzero(counts != num_dimensions)
    if not len(wrong):
        table = shapes.reshape(len(counts), num_dimensions)
        wrong = np.flatnonzero((table != table[0]).any(axis=1))
    first = shapes[:num_dimensions].tolist()
    places.refuse(wrong, f"expected the shape {first or 'left out'}, as in the records before.")
    if num_dimensions > MAX_DIMENSIONS or np.prod(first, dtype=object) > MAX_KEY:
        places.refuse(counts[:1] * 0, "expected a shape of fewer than 2^63 places.")
    return tuple(first)


def _check_sparse(
    keys: NDArray[np.uint64], counts: tuple[Integers, Integers], size: int | None, places: Places
) -> None:
    key_counts, value_counts = counts
    wrong = np.flatnonzero(key_counts != value_counts)
    places.refuse(
        wrong,
        "expected a key for each value of a sparse row; got "
        f"{key_counts[wrong[:1]]} keys and {value_counts[wrong[:1]]} values.",
    )
    if size is None:
        places.refuse(np.zeros(1, dtype=np.int64), "a sparse row needs a shape; got none.")
        return
    outside = np.flatnonzero(keys >= np.uint64(size))
    rows = np.searchsorted(np.cumsum(key_counts), outside[:1], side="right")
    places.refuse(rows, f"expected keys below {size}, as shape says; got {keys[outside[:1]]}.")
