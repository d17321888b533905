#!/usr/bin/env python3
"""Turn the hourly electricity load of five PJM zones into DeepAR channels.

Origin: PJM Interconnection (pjm.com), as the Kaggle data set robikscube/hourly-energy-consumption,
joined into one table `Datetime,ZONE,ZONE,...` with one row an hour.
Licence: CC0 by the label of the Kaggle page. That page needs an account, so there is no download.

Writes `train`, all but the last 14 days of each zone, and `test`, 14 rolling windows a zone, each
one day longer than the one before and the last ending with the data: 70 series for five zones.
The category is the column. Hours without a reading (11 to 13 a zone, mostly where the clock
changes) are missing values, written as null. Train with time_freq H and prediction_length 24.

Published scores: none.
"""

import argparse
from datetime import datetime, timedelta
from pathlib import Path

from channel import Series, check_numbers, read_rows, write_channel

NAME = "pjm_hourly.csv"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
HORIZON_STEPS = 24
NUM_WINDOWS = 14


def check_hours(times: list[str]) -> None:
    """Stop at the first row that is not one hour after the row before it."""
    expected = None
    for number, text in enumerate(times, start=2):  # row 1 is the header
        try:
            time = datetime.strptime(text, TIME_FORMAT)  # noqa: DTZ007  local time, as in `start`
        except ValueError:
            raise SystemExit(f"{NAME}: row {number}: expected a time, got {text!r}.") from None
        if expected not in {None, time}:
            raise SystemExit(
                f"{NAME}: row {number}: expected {expected}, got {text}; "
                "give each hour one row, with empty cells where there is no reading."
            )
        expected = time + timedelta(hours=1)


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source", type=Path, required=True, help=f"folder with {NAME}, plain or .gz"
    )
    parser.add_argument("--output", type=Path, default=Path("data/pjm_hourly"))
    options = parser.parse_args()

    header, *rows = read_rows(NAME, source=options.source)
    train_rows = len(rows) - NUM_WINDOWS * HORIZON_STEPS
    if train_rows < 1:
        raise SystemExit(f"{NAME}: expected more than {NUM_WINDOWS} days, got {len(rows)} hours.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise SystemExit(f"{NAME}: row {number}: expected {len(header)} cells, got {len(row)}.")
        check_numbers(row[1:], f"{NAME}: row {number}")
    times, *zones = (list(column) for column in zip(*rows, strict=True))
    check_hours(times)

    write_channel(
        options.output / "train",
        (
            Series(start=times[0], target=points[:train_rows], cat=[index], id=header[1 + index])
            for index, points in enumerate(zones)
        ),
    )
    write_channel(
        options.output / "test",
        (
            Series(
                start=times[0],
                target=points[: train_rows + window * HORIZON_STEPS],
                cat=[index],
                id=header[1 + index],
            )
            for window in range(1, NUM_WINDOWS + 1)
            for index, points in enumerate(zones)
        ),
    )


if __name__ == "__main__":
    main()
