"""Some rows of a table, as Arrow columns that remember where in the file they stood."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sm_dl.data.bad_records import BadRecords, BadRowError
from sm_dl.errors import UserError, optional_import

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """Consecutive rows of a file."""

    batch: Any
    """A `pyarrow.RecordBatch`; pyarrow ships no types."""
    unit: str
    """File and what is counted in it: `train/a.csv line`."""
    first: int
    """Number of the first row."""
    numbers: IntArray | None = None
    """Number of each row, where some numbers are left out (blank lines)."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.batch.num_rows)

    def only(self, rows: npt.NDArray[np.bool_]) -> "Columns":
        """Return the chosen rows; each keeps its number."""
        numbers = (
            np.arange(self.first, self.first + len(self)) if self.numbers is None else self.numbers
        )
        root = arrow("", self.unit)
        return Columns(self.batch.filter(root.array(rows)), self.unit, self.first, numbers[rows])

    def place(self, row: int) -> str:
        """Return where a row of this batch stands, for error messages: `train/a.csv line 7`."""
        return f"{self.unit} {self.first + row if self.numbers is None else self.numbers[row]}"


def labels_and_features(
    columns: Columns, label_size: int, bad: BadRecords | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Return the leading label columns and all others, each as one matrix with a line per row.

    Args:
        columns: Rows of numbers.
        label_size: How many columns are labels.
        bad: May leave out a row with a number that is not finite; without it such a one is refused.
    Raises:
        UserError: No feature column is left, or a number is not finite.
    """
    names = columns.batch.schema.names
    if len(names) <= label_size:
        raise UserError(
            f"{columns.place(0)}: expected {label_size} label columns and at least one feature; "
            f"got {len(names)} columns. Set label_size in the content type, or add columns."
        )
    numbers = np.empty((len(columns), len(names)))
    for index in range(len(names)):
        numbers[:, index] = columns.batch.column(index).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # too large a number is refused below
        labels, features = numbers[:, :label_size], numbers[:, label_size:].astype(np.float32)
    good = np.isfinite(labels).all(axis=1) & np.isfinite(features).all(axis=1)
    if good.all():
        return labels, features
    bad = bad or BadRecords()
    for row in np.flatnonzero(~good).tolist():
        problem = f"expected finite numbers; got {_first_bad(numbers[row])}."
        bad.leave_out(BadRowError(f"{columns.place(row)}: {problem}", row))
    return labels[good], features[good]


def _first_bad(row: npt.NDArray[np.float64]) -> str:
    with np.errstate(over="ignore"):
        column = int((~np.isfinite(row.astype(np.float32))).argmax())
    return f"{row[column]} in column {column + 1}"


def arrow(part: str, file_name: str) -> Any:  # noqa: ANN401 - pyarrow ships no types
    """Return a part of pyarrow, "" for its root.

    Raises:
        UserError: It is not installed.
    """
    module = f"pyarrow.{part}" if part else "pyarrow"
    return optional_import(module, extra="tables", purpose=f"{file_name}: reading tables")
