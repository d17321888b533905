"""Parquet files: as Arrow columns, and as rows with lists as NumPy arrays."""

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from sm_dl.data.columns import Columns, arrow
from sm_dl.data.parquet_footer import RowGroup, check_pages, read_footer
from sm_dl.data.source import NamedBytes
from sm_dl.errors import PlatformError, UserError, shown

ROWS_AT_ONCE = 256
"""Rows of lists that are decoded together; fewer where they are long."""
VALUES_AT_ONCE = 1 << 22
FREE_VALUES = 1 << 27
"""Any row group may hold this many values: 1 GiB of numbers."""
VALUES_PER_BYTE = 1000
"""And this many for each of its bytes in the file. Numbers come to about one."""
FREE_BYTES = 1 << 30
MAX_RATIO = 200


def read_parquet(
    file: NamedBytes,
    columns: Sequence[str] | None = None,
    *,
    known: Collection[str] | None = None,
    rows_at_once: int = 1 << 16,
) -> Iterator[Columns]:
    """Yield the rows of a Parquet file, some thousands at a time.

    Args:
        file: The stream; its table of contents is at its end, so it must be one that can be sought.
        columns: Names of the columns to read; None means all.
        known: Names of columns to read where the file has them, in place of `columns`.
        rows_at_once: Rows of a batch at most.
    Raises:
        UserError: The file is no Parquet file, damaged or out of proportion, lacks a column, or
            comes through a pipe.
        PlatformError: The file cannot be read.
    """
    parquet, root = arrow("parquet", file.name), arrow("", file.name)
    number = 0
    try:
        with file.open() as stream:
            if not stream.seekable():
                raise UserError(
                    f"{file.name}: Parquet cannot be read from a pipe, for its contents are listed "
                    "at its end. Use input mode File or FastFile."
                )
            groups = read_footer(stream)
            rows = [_check_size(file.name, index, group) for index, group in enumerate(groups)]
            with parquet.ParquetFile(stream) as table:
                names = table.schema_arrow.names
                _check_names(file.name, names, columns)
                if known is not None:
                    columns = [name for name in names if name in known]
                for index, most in enumerate(rows):
                    check_pages(stream, groups[index])
                    for batch in table.iter_batches(
                        min(most, rows_at_once), row_groups=[index], columns=columns
                    ):
                        batch.validate(full=True)  # text is UTF-8, offsets lie within
                        yield Columns(batch, f"{file.name} row", number + 1)
                        number += batch.num_rows
    except (root.ArrowException, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:  # Arrow's own errors of damage have none
            raise PlatformError(
                f"{file.name}: cannot be read ({os.strerror(error.errno)})."
            ) from None
        raise UserError(
            f"{file.name}: after row {number}: expected a whole Parquet file; "
            f"{str(error).splitlines()[0].rstrip('.')}. Copy or write the file again."
        ) from None


def read_rows(
    file: NamedBytes, known: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (place, row) for each row; place is `train/a.parquet row 3`, counted from 1.

    A list of numbers comes as a float64 array with NaN for null, a list of lists as a list of
    such arrays, a timestamp as `datetime64`, null as None.

    Args:
        file: The stream.
        known: Names of the columns to read where the file has them; None means all.
    Raises:
        UserError: The file is no Parquet file, damaged or out of proportion, or holds a value that
            has no counterpart in Python.
        PlatformError: The file cannot be read.
    """
    for columns in read_parquet(file, known=known, rows_at_once=ROWS_AT_ONCE):
        batch = columns.batch
        for row in range(len(columns)):
            place = columns.place(row)
            yield (
                place,
                {
                    name: _readable(batch.column(name)[row], f"{place}: {name}")
                    for name in batch.schema.names
                },
            )


def _check_names(file_name: str, names: Sequence[str], wanted: Sequence[str] | None) -> None:
    if len(set(names)) < len(names):
        raise UserError(f"{file_name}: expected each column once; got {', '.join(names)}.")
    missing = [name for name in wanted or () if name not in names]
    if missing:
        raise UserError(
            f"{file_name}: expected a column {', '.join(missing)}; got {', '.join(names)}."
        )


def _check_size(file_name: str, index: int, group: RowGroup) -> int:
    """Return how many rows of a row group may be decoded at once, if it is in proportion."""
    for got, allowed, unit in (
        (group.num_values, FREE_VALUES + VALUES_PER_BYTE * group.stored_bytes, "values"),
        (group.num_bytes, FREE_BYTES + MAX_RATIO * group.stored_bytes, "bytes"),
    ):
        if got > allowed:
            raise UserError(
                f"{file_name}: row group {index}: expected at most {allowed} {unit} from "
                f"{group.stored_bytes} stored bytes; got {got}. Write smaller row groups."
            )
    return max(1, VALUES_AT_ONCE * max(group.num_rows, 1) // max(group.num_values, 1))


def _readable(scalar: Any, place: str) -> object:  # noqa: ANN401 - pyarrow ships no types
    """Return one Arrow scalar as `_value` does.

    Raises:
        UserError: Python has no such value, e.g. a time beyond the year 9999 or in an unknown zone;
            one of nanoseconds in a zone needs pandas.
    """
    try:
        return _value(scalar)
    except (
        arrow("", place).ArrowException,
        ImportError,
        LookupError,
        OverflowError,
        ValueError,
    ) as error:
        raise UserError(
            f"{place}: expected a value that can be read; got one of type {scalar.type} "
            f"({type(error).__name__}: {shown(str(error))}). Write the column as another type, times "
            "without a zone."
        ) from None


def _value(scalar: Any) -> object:  # noqa: ANN401 - pyarrow ships no types
    """Return one Arrow scalar as the Python or NumPy value described above."""
    root = arrow("", "Parquet")
    kind = scalar.type
    is_time = root.types.is_timestamp(kind) or root.types.is_date(kind)
    if scalar.is_valid and is_time and not getattr(kind, "tz", None):
        if root.types.is_date(kind):
            scalar = scalar.cast(root.timestamp("s"))
        return np.datetime64(scalar.value, scalar.type.unit)
    is_list = root.types.is_list(kind) or root.types.is_large_list(kind)
    if scalar.is_valid and (is_list or root.types.is_fixed_size_list(kind)):
        values = scalar.values
        if root.types.is_integer(kind.value_type) and not values.null_count:
            return values.to_numpy(zero_copy_only=False)
        if root.types.is_floating(kind.value_type) or root.types.is_integer(kind.value_type):
            return values.cast(root.float64(), safe=False).to_numpy(zero_copy_only=False)
        return [_value(item) for item in values]
    return str(scalar) if is_time and scalar.is_valid else scalar.as_py()
