#!/usr/bin/env python3
"""Turn the hourly series of the M4 competition into DeepAR channels.

Origin: repository Mcompetitions/M4-methods; Makridakis, Spiliotis, Assimakopoulos, "The M4
competition", International Journal of Forecasting 36 (2020).
Licence: the repository states none for the data; they were published for free research use.

Writes `train`, 414 series of 700 to 960 points, and `test`, the same series with the next 48
points. The source gives no times of start; all series get 1750-01-01 00:00:00, as in GluonTS.
With `--category` each series is its own category, as in the GluonTS data set `m4_hourly`.
Train with time_freq H and prediction_length 48.

Published scores (GluonTS repository, evaluations/README.md, default settings):

    model            mean_wQuantileLoss   ND       RMSE
    DeepAR           0.0329               0.0417   1344.9
    Transformer      0.0349               0.0429   1575.8
    R arima          0.0397               0.0534
    R ets            0.0431               0.0540
    feed-forward     0.0438               0.0549   2323.0
    seasonal naive   0.0483               0.0483   1901.1
"""

import argparse
from pathlib import Path

from channel import MISSING, Series, check_numbers, read_rows, write_channel

TRAIN_NAME, TEST_NAME = "Hourly-train.csv", "Hourly-test.csv"
BASE_URL = "https://raw.githubusercontent.com/Mcompetitions/M4-methods/master/Dataset"
START = "1750-01-01 00:00:00"
HORIZON_STEPS = 48


def series_by_id(name: str, rows: list[list[str]]) -> dict[str, list[str]]:
    """Return the points of each series, in the order of the file.

    Two forms are read: the public one, with a header (`"V1","V2",...`), quotes and empty cells
    up to the longest series, and a plain one of ragged rows.
    """
    if rows[0][0] == "V1":
        rows = rows[1:]
    found: dict[str, list[str]] = {}
    for identity, *cells in rows:
        while cells and cells[-1] in MISSING:
            cells.pop()
        check_numbers(cells, f"{name}: series {identity}")
        found[identity] = cells
    return found


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source",
        type=Path,
        help=f"folder with {TRAIN_NAME} and {TEST_NAME}, plain or .gz; without it, download them",
    )
    parser.add_argument("--output", type=Path, default=Path("data/m4_hourly"))
    parser.add_argument("--category", action="store_true", help="number the series in `cat`")
    options = parser.parse_args()

    train_rows = read_rows(TRAIN_NAME, source=options.source, url=f"{BASE_URL}/Train/{TRAIN_NAME}")
    test_rows = read_rows(TEST_NAME, source=options.source, url=f"{BASE_URL}/Test/{TEST_NAME}")
    history = series_by_id(TRAIN_NAME, train_rows)
    future = series_by_id(TEST_NAME, test_rows)
    for identity in history.keys() ^ future.keys():
        raise SystemExit(f"series {identity}: expected in both files, found in one; fetch anew.")
    for identity, points in future.items():
        if len(points) != HORIZON_STEPS:
            raise SystemExit(
                f"{TEST_NAME}: series {identity}: expected {HORIZON_STEPS} points, "
                f"got {len(points)}; fetch the file anew."
            )

    categories = [[index] if options.category else [] for index in range(len(history))]
    write_channel(
        options.output / "train",
        (
            Series(start=START, target=points, cat=cat, id=name)
            for (name, points), cat in zip(history.items(), categories, strict=True)
        ),
    )
    write_channel(
        options.output / "test",
        (
            Series(start=START, target=points + future[name], cat=cat, id=name)
            for (name, points), cat in zip(history.items(), categories, strict=True)
        ),
    )


if __name__ == "__main__":
    main()
