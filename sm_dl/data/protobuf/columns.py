"""What one name holds in many records: flat arrays, and how they divide into rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.bad_records import BadRowError
from sm_dl.data.frames import Integers
from sm_dl.errors import UserError

MAX_DENSE_VALUES = 1 << 28
"""Most values (1 GiB of float32) that sparse rows are spread into at once: a `shape` is only a
number in the file, and needs no values behind it."""


@dataclass(frozen=True)
class Csr:
    """Sparse rows as SciPy's `csr_matrix((values, columns, row_ends), shape)` takes them."""

    values: NDArray[Any]
    columns: Integers
    row_starts: Integers
    """One more than there are rows; each row ends where the next one begins."""
    num_columns: int


@dataclass(frozen=True)
class Column:
    """The tensors under one name, in a batch of records."""

    title: str
    """E.g. `features['values']`."""
    values: NDArray[Any]
    """float32, float64 or int32, of all rows one behind the other."""
    row_starts: Integers
    """One more than there are rows."""
    keys: Integers
    """Place of each value in a sparse row; empty when the rows are dense."""
    shape: tuple[int, ...] | None
    """Of each row; None when the file gives none."""
    is_sparse: bool
    places: Callable[[int], str]
    """What to call a row in an error."""

    def __len__(self) -> int:
        return len(self.row_starts) - 1

    def dense(self) -> NDArray[Any]:
        """Return the rows as an array, shape (rows, columns); sparse ones are spread.

        Raises:
            UserError: Rows differ in length, or spreading them would take too much memory.
        """
        if not self.is_sparse:
            return self.values.reshape(len(self), self._width())
        width = self._num_columns()
        if len(self) * width > MAX_DENSE_VALUES:
            raise UserError(
                f"{self.places(0)}: {self.title}: {len(self)} sparse rows of {width} columns are "
                f"too many to be spread at once; the limit is {MAX_DENSE_VALUES} values."
            )
        spread = np.zeros((len(self), width), dtype=self.values.dtype)
        rows = np.repeat(np.arange(len(self)), np.diff(self.row_starts))
        spread[rows, self.keys] = self.values
        return spread

    def csr(self) -> Csr:
        """Return the rows in compressed form; dense ones keep their zeros.

        Raises:
            UserError: Dense rows differ in length.
        """
        if self.is_sparse:
            return Csr(self.values, self.keys, self.row_starts, self._num_columns())
        width = self._width()
        return Csr(self.values, np.tile(np.arange(width), len(self)), self.row_starts, width)

    def rows(self) -> list[NDArray[Any]]:
        """Return the values of each row, of any length."""
        return np.split(self.values, self.row_starts[1:-1]) if len(self) else []

    def scalars(self) -> NDArray[Any]:
        """Return the value of each row, shape (rows,).

        Raises:
            UserError: A row has none or several.
        """
        wrong = np.flatnonzero(np.diff(self.row_starts) != 1)
        if len(wrong):
            row = int(wrong[0])
            got = np.diff(self.row_starts)[row]
            raise BadRowError(
                f"{self.places(row)}: {self.title}: expected one value; got {got}.", row
            )
        return self.values

    def _num_columns(self) -> int:
        return int(np.prod(self.shape or (0,), dtype=object))

    def _width(self) -> int:
        """Return the length that all dense rows have."""
        lengths = np.diff(self.row_starts)
        width = int(lengths[0]) if len(lengths) else 0
        wrong = np.flatnonzero(lengths != width)
        if len(wrong):
            row = int(wrong[0])
            raise BadRowError(
                f"{self.places(row)}: {self.title}: expected {width} values, as in the "
                f"records before; got {lengths[row]}.",
                row,
            )
        return width


@dataclass(frozen=True)
class Batch:
    """Some records in a row, by column."""

    features: dict[str, Column]
    label: dict[str, Column]
    blobs: dict[str, list[list[bytes]]]
    """`bytes` values of the features, a list for each record: the format allows several."""
    texts: dict[str, list[str | None]]
    """`uid`, `metadata` and `configuration`, where any record has them."""
    num_records: int
    places: Callable[[int], str]


def joined(columns: Sequence[Column]) -> Column:
    """Return the columns of several batches of a file as one.

    Raises:
        UserError: They differ in kind, sparseness or shape.
    """
    first = columns[0]
    for column in columns[1:]:
        for aspect, one, other in (
            ("type", first.values.dtype.name, column.values.dtype.name),
            ("sparse", first.is_sparse, column.is_sparse),
            ("shape", first.shape, column.shape),
        ):
            if one != other:
                raise UserError(
                    f"{column.places(0)}: {column.title}: expected {aspect} {one}, as in the "
                    f"records before; got {other}."
                )
    firsts = np.cumsum([0, *(len(column) for column in columns)])
    values_before = np.cumsum([0, *(len(column.values) for column in columns)])

    def places(row: int) -> str:
        batch = int(np.searchsorted(firsts, row, side="right")) - 1
        return columns[batch].places(row - int(firsts[batch]))

    return Column(
        title=first.title,
        values=np.concatenate([column.values for column in columns]),
        row_starts=np.concatenate(
            [
                np.zeros(1, dtype=np.int64),
                *(
                    column.row_starts[1:] + before
                    for column, before in zip(columns, values_before[:-1], strict=True)
                ),
            ]
        ),
        keys=np.concatenate([column.keys for column in columns]),
        shape=first.shape,
        is_sparse=first.is_sparse,
        places=places,
    )
