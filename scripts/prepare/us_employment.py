#!/usr/bin/env python3
"""Turn the employment table that the package vega_datasets ships into DeepAR channels.

Origin: U.S. Bureau of Labor Statistics, employees on non-farm payrolls by industry, in thousands,
monthly from January 2006 to December 2015; carried by vega_datasets 0.9.0 (BSD-3; data public
domain). Nothing is downloaded: the table lies inside the installed package.

Writes `train`, 21 industries without the last 12 months; `test`, the same with them; and
`forecast`, the whole history, for a batch transform that looks ahead. Each industry is its own
category. Train with time_freq M and prediction_length 12.
"""

import argparse
import csv
import importlib.util
from pathlib import Path

from channel import Series, check_numbers, write_channel

HORIZON_STEPS = 12
LEFT_OUT = {"month", "nonfarm_change", "private_service_providing"}
"""The time, a column of differences, and a near copy of its neighbour."""


def table_path() -> Path:
    """Return the path of the table inside the installed package, without importing it."""
    package = importlib.util.find_spec("vega_datasets")
    if package is None or package.origin is None:
        raise SystemExit("vega_datasets is not installed; run: pip install 'sm_dl[quickstart]'")
    return Path(package.origin).parent / "_data" / "us-employment.csv"


def main() -> None:
    """Write the channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("data/us_employment"))
    options = parser.parse_args()

    with table_path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    start = f"{rows[0]['month']} 00:00:00"
    industries = [name for name in rows[0] if name not in LEFT_OUT]
    points = {name: [row[name] for row in rows] for name in industries}
    for name, cells in points.items():
        check_numbers(cells, f"us-employment.csv: column {name}")

    for channel, last in {"train": -HORIZON_STEPS, "test": None, "forecast": None}.items():
        write_channel(
            options.output / channel,
            (
                Series(start=start, target=points[name][:last], cat=[index], id=name)
                for index, name in enumerate(industries)
            ),
        )


if __name__ == "__main__":
    main()
