"""One time series from one record, with every refusal of the spec (section 3).

Training files and requests go through the same function, so both get the same decisions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.errors import UserError, shown

FloatArray = npt.NDArray[np.float32]

START = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
FIELDS = ("start", "target", "cat", "dynamic_feat", "id", "item_id")
"""What is read of a record."""
MAX_NAME_CHARACTERS = 80
LARGEST = float(np.finfo(np.float32).max) / 1e6
"""Beyond this a sum over a window could overflow float32."""


@dataclass(frozen=True)
class Series:
    """One series. Shape letters: T = steps, D = dynamic features, C = categories."""

    place: str
    """File and line, or position in a request, for error messages."""
    start: int
    """Time of the first point, as `Frequency.time_of` counts."""
    target_T: FloatArray
    """NaN where missing."""
    cat_C: tuple[int, ...] | None
    dynamic_DT: FloatArray | None
    """May be longer than the target: its future is known."""
    name: str = ""
    """The record's own `id` or `item_id`, for people; empty when it has none."""

    def __len__(self) -> int:
        """Return the number of points, missing ones included."""
        return len(self.target_T)


def series_from_record(record: Mapping[str, object], place: str, frequency: Frequency) -> Series:
    """Return the series that a JSON object or a Parquet row describes; other fields are ignored.

    Args:
        record: The fields `start`, `target`, and perhaps `cat` and `dynamic_feat`.
        place: Where the record stands, for the error message.
        frequency: The step of the series.
    Raises:
        UserError: A field is missing or holds something else.
    """
    return Series(
        place=place,
        start=frequency.time_of(_start(record.get("start"), place)),
        target_T=_numbers(record.get("target"), f"{place}: target", missing_allowed=True),
        cat_C=_categories(record.get("cat"), place),
        dynamic_DT=_features(record.get("dynamic_feat"), place),
        name=_name(record),
    )


def _name(record: Mapping[str, object]) -> str:
    name = record.get("id", record.get("item_id"))
    return str(name)[:MAX_NAME_CHARACTERS] if isinstance(name, str | int) else ""


def _start(value: object, place: str) -> np.datetime64:
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return value
    if isinstance(value, str) and START.fullmatch(value.strip()):
        try:
            return np.datetime64(value.strip().partition(".")[0])  # long fractions overflow
        except ValueError:
            pass  # the 31st of June
    hint = (
        " Remove the time zone."
        if isinstance(value, str) and re.search(r"Z$|[+-]\d{2}:?\d{2}$", value[10:])
        else ""
    )
    raise UserError(
        f"{place}: start: expected a date and time such as '2016-01-31 00:00:00'; got {shown(value)}.{hint}"
    )


def _numbers(value: object, place: str, *, missing_allowed: bool) -> FloatArray:
    """Return float32 numbers, NaN for `null` and "NaN"."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu":
        array = value.astype(np.float64)
    elif isinstance(value, list):
        array = _from_list(value, place)
    else:
        raise UserError(f"{place}: expected a list of numbers; got {shown(value)}.")
    missing = np.isnan(array)
    if not missing_allowed and missing.any():
        raise UserError(
            f"{place}: expected numbers only, missing values are allowed in target alone; "
            f"got a missing value at position {int(missing.argmax())}. Fill it."
        )
    with np.errstate(invalid="ignore"):
        too_large = np.abs(array) > LARGEST
    if too_large.any():
        position = int(too_large.argmax())
        raise UserError(
            f"{place}: expected finite numbers below {LARGEST:.0e}; "
            f"got {array[position]} at position {position}."
        )
    return array.astype(np.float32)


def _from_list(values: list[object], place: str) -> npt.NDArray[np.float64]:
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        for position, value in enumerate(values):
            is_number = type(value) in (int, float) or value is None or value == "NaN"
            if not is_number:
                raise UserError(
                    f'{place}: expected numbers, null or "NaN"; got {shown(value)} at position {position}.'
                )
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise UserError(
            f"{place}: expected finite numbers; got an integer of over 300 digits."
        ) from None


def _categories(value: object, place: str) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    values = [value] if isinstance(value, int) else value  # 2017's format had one bare integer
    if not isinstance(values, list) or not all(
        type(item) is int and 0 <= item < 2**31 for item in values
    ):
        raise UserError(
            f"{place}: cat: expected a list of integers coded from 0; got {shown(value)}."
        )
    return tuple(values)


def _features(value: object, place: str) -> FloatArray | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = list(value)
    if not isinstance(value, list) or not all(isinstance(row, list | np.ndarray) for row in value):
        raise UserError(
            f"{place}: dynamic_feat: expected a list of lists of numbers; got {shown(value)}."
        )
    rows = [
        _numbers(row, f"{place}: dynamic_feat[{index}]", missing_allowed=False)
        for index, row in enumerate(value)
    ]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise UserError(
            f"{place}: dynamic_feat: expected lists of one length; got lengths {', '.join(map(str, lengths))}."
        )
    return np.stack(rows) if rows else None
