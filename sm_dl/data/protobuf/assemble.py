"""Pieces of wire format under one name to a column, with everything that can be wrong refused."""

from collections.abc import Callable, Mapping
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
from sm_dl.data.width import Width
from sm_dl.errors import shown

DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT32: np.dtype("<f4"),
    FLOAT64: np.dtype("<f8"),
    INT32: np.dtype("<i4"),
}
Span = tuple[Integers, Integers, Mapping[int, bytes]]
"""Begins and lengths of the pieces of some rows, and what stands in for some of them."""
MAX_KEY = (1 << 63) - 1
MAX_DIMENSIONS = 32


@dataclass(frozen=True)
class Places:
    """What to call a row of a column in an error."""

    of_row: Callable[[int], str]
    title: str

    def refuse(self, rows: NDArray[Any], problem: str | Callable[[int], str]) -> None:
        """Raise for some rows that are wrong, if there are any; `problem` may differ from row to row."""
        if len(rows):
            first, *others = (
                BadRowError(
                    f"{self.of_row(row)}: {self.title}: "
                    f"{problem if isinstance(problem, str) else problem(row)}",
                    row,
                )
                for row in rows.tolist()
            )
            raise BadRowError(str(first), first.row, others)

    def only(self, rows: NDArray[Any]) -> "Places":
        """Return what to call some of the rows."""
        return Places(lambda at: self.of_row(int(rows[at])), self.title)


def column_from(
    buffer: bytes, tensors: Tensors, places: Places, width: Width | None = None
) -> Column:
    """Return the column that some pieces hold.

    Each record says for itself what it is. Where types differ, the column is float64, which holds
    them all; where dense and sparse rows are mixed it is sparse, and the dense ones keep their zeros.

    Args:
        buffer: Where the pieces are.
        tensors: The pieces: of numbers, in every record.
        places: What to call the rows.
        width: Of every row, where the caller knows it.
    Raises:
        BadRowError: Numbers are cut, or values, keys and shape do not go together.
    """
    values, counts = _values(buffer, tensors, places)
    keys, key_counts = _varints(buffer, tensors, KEYS, places)
    shapes = _Shapes(*_varints(buffer, tensors, SHAPE, places), places)
    is_sparse = (key_counts > 0) | ((counts == 0) & (shapes.counts > 0))
    has_sparse = bool(is_sparse.any())
    if has_sparse:  # of a dense row the number of values is a shape, too
        bare = np.flatnonzero(is_sparse & (shapes.counts == 0))
        places.refuse(bare, "a sparse row needs a shape; got none.")
    shape = shapes.of_all(width)
    row_starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=row_starts[1:])
    size = width.size if width else None if shape is None else int(np.prod(shape, dtype=object))
    if size is not None:
        wrong = counts != size
        reason = width.reason if width else f", for the shape {list(shape or ())}"
        places.refuse(
            np.flatnonzero(wrong & ~is_sparse),
            lambda row: (
                f"expected {size} values{reason}; got {counts[row]}.{width.advice if width else ''}"
            ),
        )
        if has_sparse:
            _check_sparse(keys, (key_counts, counts), is_sparse, size, places)
    own_keys = keys.astype(np.int64)
    if has_sparse and size is not None and not is_sparse.all():
        own_keys = _with_dense(own_keys, counts, is_sparse, size)
    return Column(places.title, values, row_starts, own_keys, shape, has_sparse, places.of_row)


def _with_dense(
    keys: Integers, counts: Integers, is_sparse: NDArray[np.bool_], size: int
) -> Integers:
    """Return the keys of all values, where dense rows have none of their own."""
    all_keys = np.empty(int(counts.sum()), dtype=np.int64)
    is_of_sparse = np.repeat(is_sparse, counts)
    all_keys[is_of_sparse] = keys
    all_keys[~is_of_sparse] = np.tile(np.arange(size), np.count_nonzero(~is_sparse))
    return all_keys


@dataclass(frozen=True)
class _Shapes:
    """What rows say of their shape; a dense one need not say anything."""

    numbers: NDArray[np.uint64]
    counts: Integers
    """Dimensions of each row."""
    places: Places

    def of_all(self, width: Width | None) -> tuple[int, ...] | None:
        """Return the shape of all rows that have one; the first one's where no width decides."""
        if not len(self.numbers):
            return None
        first = int(np.flatnonzero(self.counts)[0])
        shape = [width.size] if width else self._of(first)
        if len(shape) > MAX_DIMENSIONS or np.prod(shape, dtype=object) > MAX_KEY:
            self.places.refuse(np.array([first]), "expected a shape of fewer than 2^63 places.")
        reason = width.reason if width else ", as in the records before"
        self.places.refuse(
            self._other_than(shape),
            lambda row: (
                f"expected the shape {shape}{reason}; got {shown(self._of(row))}."
                f"{width.advice if width else ''}"
            ),
        )
        return tuple(shape)

    def _of(self, row: int) -> list[int]:
        begin = int(self.counts[:row].sum())
        shape: list[int] = self.numbers[begin : begin + int(self.counts[row])].tolist()
        return shape

    def _other_than(self, shape: list[int]) -> Integers:
        """Return the rows that have another shape."""
        is_alike = self.counts == len(shape)
        numbers = self.numbers
        if not is_alike.all():
            numbers = numbers[np.repeat(is_alike, self.counts)]
        is_other = (self.counts > 0) & ~is_alike
        table = numbers.reshape(-1, len(shape))
        is_other[is_alike] = (table != np.array(shape, dtype=np.uint64)).any(axis=1)
        return np.flatnonzero(is_other)


def _values(buffer: bytes, tensors: Tensors, places: Places) -> tuple[NDArray[Any], Integers]:
    """Return the values of all rows, and how many each row has."""
    kinds = tensors.kinds
    first = int(kinds[0])
    if (kinds == first).all():
        return _values_of_kind(buffer, tensors.span(VALUES), first, places)
    starts, lengths, replaced = tensors.span(VALUES)
    counts = np.zeros_like(kinds)
    found = []
    for kind in np.unique(kinds).tolist():
        rows = np.flatnonzero(kinds == kind)
        positions = {row: at for at, row in enumerate(rows.tolist()) if row in replaced}
        span = (
            starts[rows],
            lengths[rows],
            {at: replaced[row] for row, at in positions.items()},
        )
        values, counts[rows] = _values_of_kind(buffer, span, kind, places.only(rows))
        found.append((kind, values))
    whole = np.empty(int(counts.sum()), dtype=np.float64)
    for kind, values in found:
        whole[np.repeat(kinds == kind, counts)] = values
    return whole, counts


def _values_of_kind(
    buffer: bytes, span: Span, kind: int, places: Places
) -> tuple[NDArray[Any], Integers]:
    """Return the values of rows of one type, and how many each row has."""
    starts, lengths, replaced = span
    if kind == INT32:
        numbers, counts = _numbers(buffer, span, places)
        # protobuf keeps the low 32 bits; a negative number was written with its sign in all 64
        return numbers.astype(np.uint32).view(np.int32), counts
    dtype = DTYPES[kind]
    wrong = np.flatnonzero(lengths % dtype.itemsize)
    places.refuse(wrong, f"expected whole values of {dtype.itemsize} bytes; the last one is cut.")
    return gather(buffer, starts, lengths, replaced).view(dtype), lengths // dtype.itemsize


def _varints(
    buffer: bytes, tensors: Tensors, field: int, places: Places
) -> tuple[NDArray[np.uint64], Integers]:
    if field not in tensors:
        return np.zeros(0, dtype=np.uint64), np.zeros_like(tensors.kinds)
    return _numbers(buffer, tensors.span(field), places)


def _numbers(buffer: bytes, span: Span, places: Places) -> tuple[NDArray[np.uint64], Integers]:
    """Return the numbers of all rows, and how many each row has."""
    starts, lengths, replaced = span
    data = gather(buffer, starts, lengths, replaced)
    numbers, counts, wrong = decode_varints(data, lengths)
    if wrong is not None:
        places.refuse(np.array([wrong]), "holds a number that does not end.")
    return numbers, counts


def _check_sparse(
    keys: NDArray[np.uint64],
    counts: tuple[Integers, Integers],
    is_sparse: NDArray[np.bool_],
    size: int,
    places: Places,
) -> None:
    key_counts, value_counts = counts
    places.refuse(
        np.flatnonzero(is_sparse & (key_counts != value_counts)),
        lambda row: (
            "expected a key for each value of a sparse row; got "
            f"{key_counts[row]} keys and {value_counts[row]} values."
        ),
    )
    outside = np.flatnonzero(keys >= np.uint64(size))
    if len(outside):
        of_rows = np.searchsorted(np.cumsum(key_counts), outside, side="right")
        rows, first = np.unique(of_rows, return_index=True)
        got = dict(zip(rows.tolist(), keys[outside[first]].tolist(), strict=True))
        places.refuse(
            rows, lambda row: f"expected keys below {size}, as shape says; got {got[row]}."
        )
