"""Time steps, lags and calendar features by frequency (spec sections 1.4 and 1.5).

Times are integers: minutes since 1970-01-01 for `min`, `H`, `D` and `W`, months since January
1970 for `M`. They hold any year a `datetime64` holds, so nothing overflows in 1677 or 2262.

Shape letters in this file: any leading shape `...`, F = features.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sm_dl.algorithms.deepar.hyperparameters import FREQUENCY
from sm_dl.errors import UserError

UNITS = {"min": "minute", "H": "hour", "D": "day", "W": "week", "M": "month"}
MINUTES = {"min": 1, "H": 60, "D": 1440, "W": 10080}
MINUTES_PER_DAY = 1440
MAX_DAYS = 1_000_000
"""Days from the earliest to the latest step of a data set: over 2,700 years."""

FEATURES = {
    "min": ("minute-of-hour", "hour-of-day", "day-of-week", "day-of-month", "day-of-year"),
    "H": ("hour-of-day", "day-of-week", "day-of-month", "day-of-year"),
    "D": ("day-of-week", "day-of-month", "day-of-year"),
    "W": ("day-of-month", "week-of-year"),
    "M": ("month-of-year",),
}
"""What the network is told about a step (AWS developer guide, "How DeepAR works")."""

LAGS = {
    "M": "1-7 11-13 23-25 35-37",
    "W": "1-8 12 51-53 103-105 155-157",
    "D": "1-8 13-15 20-22 27-31 56 84 363-365 727-729 1091-1093",
    "H": "1-7 23-25 47-49 71-73 95-97 119-121 143-145 167-169 335-337 503-505 671-673 719-721",
    "2H": "1-7 11-13 23-25 35-37 47-49 59-61 71-73 83-85 167-169 251-253 335-337 359-361 672 1008",
    "min": "1-7 58-62 118-122 178-182",
    "5min": "1-7 10-14 22-26 34-38 287-289 575-577 863-865 1151-1153",
    "10min": "1-8 10-14 16-20 143-145 287-289 431-433 575-577 719-721 863-865 1007-1009",
    "15min": "1-14 95-97 191-193 287-289 383-385 479-481 575-577 671-673",
    "30min": "1-8 47-49 95-97 143-145 191-193 239-241 287-289 335-337 671-673 1007-1009",
}
"""Steps back that the network sees besides the last one. The service documents examples only;
these are the lists of GluonTS 0.17, which cover all of them."""

SEASONS = {
    "min": (60, 120, 180, *(1440 * day for day in (1, 2, 3, 4, 5, 6, 7, 14, 21, 28))),
    "H": tuple(24 * day for day in (1, 2, 3, 4, 5, 6, 7, 14, 21, 28, 30)),
    "D": (7, 14, 21, 28, 56, 84, 364, 728, 1092),
    "W": (4, 8, 12, 52, 104, 156),
    "M": (12, 24, 36),
}
"""Seasonal distances in base steps, for multiples without a list of their own."""
MAX_DERIVED_LAG = 1200
"""About the longest lag of the lists above: a derived list reaches no further back."""


@dataclass(frozen=True)
class Frequency:
    """The step between two points of every series."""

    base: str
    """`M`, `W`, `D`, `H` or `min`."""
    multiple: int

    @classmethod
    def parse(cls, text: str) -> "Frequency":
        """Return the frequency that a checked `time_freq` names."""
        match = FREQUENCY.fullmatch(text)
        if match is None:
            raise ValueError(f"not a frequency: {text!r}")
        return cls(match[2], int(match[1] or 1))

    def __str__(self) -> str:
        """Return the service's spelling."""
        return f"{'' if self.multiple == 1 else self.multiple}{self.base}"

    @property
    def step(self) -> int:
        """Length of one step, in minutes or months."""
        return self.multiple * MINUTES.get(self.base, 1)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the calendar features, in the order of the network's inputs."""
        return FEATURES[self.base]

    def lags(self) -> tuple[int, ...]:
        """Return the steps back whose values the network sees, rising, starting with 1."""
        listed = LAGS.get(str(self))
        if listed is not None:
            return _runs(listed)
        lags = set(range(1, 8))
        for season in SEASONS[self.base]:
            centre = round(season / self.multiple)
            if 1 < centre <= MAX_DERIVED_LAG:
                lags.update((centre - 1, centre, centre + 1))
        return tuple(sorted(lags))

    def time_of(self, start: np.datetime64) -> int:
        """Return a start time as this file's integer; finer than the base step is cut off."""
        if self.base == "M":
            return int(start.astype("datetime64[M]").astype(np.int64))
        unit = MINUTES["H"] if self.base == "H" else MINUTES_PER_DAY if self.base in "DW" else 1
        return int(start.astype("datetime64[m]").astype(np.int64)) // unit * unit

    def text_of(self, time: int) -> str:
        """Return this file's integer as ISO 8601 text, to the second."""
        unit = "M" if self.base == "M" else "m"
        return str(np.array(time).astype(f"datetime64[{unit}]").astype("datetime64[s]"))

    def words(self, count: int) -> str:
        """Return a number of steps in words, e.g. `48 hours` or `12 steps of 5 minutes`."""
        if self.multiple == 1:
            return f"{count} {UNITS[self.base]}" + ("s" if count != 1 else "")
        return f"{count} steps of {self.multiple} {UNITS[self.base]}s"


def _runs(listed: str) -> tuple[int, ...]:
    """Return the numbers of a text such as `1-3 12`."""
    spans = (span.partition("-") for span in listed.split())
    return tuple(
        lag for first, _, last in spans for lag in range(int(first), int(last or first) + 1)
    )


class Calendar:
    """Calendar features of any step between two times, by table look-up.

    Each is mapped to [-0.5, 0.5], as GluonTS does: hour / 23 - 0.5, weekday / 6 - 0.5, and so on.
    """

    def __init__(self, frequency: Frequency, first: int, last: int) -> None:
        """Build the day table from `first` to `last`, both in minutes or months.

        Raises:
            UserError: The span is longer than any calendar needs.
        """
        self.frequency = frequency
        self._first_day = first // MINUTES_PER_DAY
        self._table: Tensor | None = None
        if frequency.base == "M":
            return
        num_days = check_span(frequency, first, last)
        self._table = torch.from_numpy(
            _day_features(frequency.base, np.arange(self._first_day, self._first_day + num_days))
        )

    def to(self, device: torch.device) -> "Calendar":
        """Move the table to where the windows are cut, and return self."""
        if self._table is not None:
            self._table = self._table.to(device)
        return self

    def features(self, times: Tensor) -> Tensor:
        """Return the features, shape (..., F), of times, shape (...), int64.

        Times outside the calendar's span (padding before a series) get those of its nearest day.
        """
        if self._table is None:
            return (times.remainder(12).unsqueeze(-1) / 11.0 - 0.5).to(torch.float32)
        day = times.div(MINUTES_PER_DAY, rounding_mode="floor") - self._first_day
        parts = [self._table[day.clamp(0, len(self._table) - 1)]]
        if self.frequency.base in ("min", "H"):
            hour = times.div(60, rounding_mode="floor").remainder(24)
            parts.insert(0, (hour / 23.0 - 0.5).to(torch.float32).unsqueeze(-1))
        if self.frequency.base == "min":
            parts.insert(0, (times.remainder(60) / 59.0 - 0.5).to(torch.float32).unsqueeze(-1))
        return torch.cat(parts, dim=-1)


def check_span(frequency: Frequency, first: int, last: int) -> int:
    """Return the days from `first` to `last`, both in minutes.

    Raises:
        UserError: They are more than any calendar needs.
    """
    num_days = last // MINUTES_PER_DAY - first // MINUTES_PER_DAY + 1
    if num_days > MAX_DAYS and frequency.base != "M":
        raise UserError(
            f"start and time_freq: the series span {num_days} days from first to last step; "
            f"expected at most {MAX_DAYS}. Check the start dates and time_freq={frequency}."
        )
    return num_days


def _day_features(base: str, day_numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the features of days since 1970, shape (days, F), that do not depend on the hour."""
    days = day_numbers.astype("datetime64[D]")
    weekday = (day_numbers + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    day_of_month = (days - days.astype("datetime64[M]")).astype(np.int64)
    day_of_year = (days - days.astype("datetime64[Y]")).astype(np.int64)
    if base == "W":
        thursdays = (day_numbers - weekday + 3).astype("datetime64[D]")  # ISO 8601: names the week
        week = (thursdays - thursdays.astype("datetime64[Y]")).astype(np.int64) // 7
        columns = [day_of_month / 30, week / 52]
    else:
        columns = [weekday / 6, day_of_month / 30, day_of_year / 365]
    return np.stack(columns, axis=-1).astype(np.float32) - np.float32(0.5)
