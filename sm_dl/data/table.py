"""Rows of Parquet files, lists as NumPy arrays."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from sm_dl.data.source import DataFile
from sm_dl.errors import PlatformError, UserError, optional_import

ROWS_AT_ONCE = 256


def read_rows(file: DataFile) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (place, row) for each row; place is `train/a.parquet row 3`, counted from 1.

    A list of numbers comes as a float64 array with NaN for null, a list of lists as a list of
    such arrays, a timestamp as `datetime64`, null as None.

    Raises:
        UserError: The file is no Parquet file, or damaged, or pyarrow is not installed.
    """
    parquet = optional_import(
        "pyarrow.parquet", extra="parquet", purpose=f"{file.name}: reading Parquet"
    )
    arrow = optional_import("pyarrow", extra="parquet", purpose=f"{file.name}: reading Parquet")
    number = 0
    try:
        with parquet.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            if len(set(names)) < len(names):
                raise UserError(f"{file.name}: expected each column once; got {', '.join(names)}.")
            for batch in table.iter_batches(batch_size=ROWS_AT_ONCE):
                for row in range(batch.num_rows):
                    number += 1
                    yield (
                        f"{file.name} row {number}",
                        {name: _value(batch.column(name)[row]) for name in batch.schema.names},
                    )
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:  # Arrow's own errors of damage have none
            raise PlatformError(
                f"{file.name}: cannot be read ({os.strerror(error.errno)})."
            ) from None
        raise UserError(
            f"{file.name}: after row {number}: expected a whole Parquet file; "
            f"{str(error).splitlines()[0].rstrip('.')}. Copy or write the file again."
        ) from None


def _value(scalar: Any) -> object:  # noqa: ANN401 - pyarrow ships no types
    """Return one Arrow scalar as the Python or NumPy value described above."""
    arrow = optional_import("pyarrow", extra="parquet", purpose="reading Parquet")
    kind = scalar.type
    is_time = arrow.types.is_timestamp(kind) or arrow.types.is_date(kind)
    if scalar.is_valid and is_time and not getattr(kind, "tz", None):
        if arrow.types.is_date(kind):
            scalar = scalar.cast(arrow.timestamp("s"))
        return np.datetime64(scalar.value, scalar.type.unit)
    is_list = arrow.types.is_list(kind) or arrow.types.is_large_list(kind)
    if scalar.is_valid and (is_list or arrow.types.is_fixed_size_list(kind)):
        values = scalar.values
        if arrow.types.is_integer(kind.value_type) and not values.null_count:
            return values.to_numpy(zero_copy_only=False)
        if arrow.types.is_floating(kind.value_type) or arrow.types.is_integer(kind.value_type):
            return values.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        return [_value(item) for item in values]
    return str(scalar) if is_time and scalar.is_valid else scalar.as_py()
