#!/usr/bin/env python3
"""Turn daily exchange rates of eight currencies into DeepAR channels.

Origin: repository laiguokun/multivariate-time-series-data; Lai et al., "Modeling long- and
short-term temporal patterns with deep neural networks", arXiv 1703.07015.
Licence: the repository states none.

Writes `train`, the first 6071 rows of each currency, and `test`, five rolling windows of 30 days
a currency, ending at rows 6101, 6131, 6161, 6191 and 6221: 40 series. This is the split of the
GluonTS data sets `exchange_rate` and `exchange_rate_nips`. The category is the column.
Train with time_freq D and prediction_length 30. The rows are business days, which time_freq
cannot say; as days in a row, counted from 1990-01-01, they lose the true day of the week.

Published scores (GluonTS repository, evaluations/README.md, default settings):

    model            mean_wQuantileLoss   ND       RMSE
    R ets            0.0078               0.0100   0.0119
    R arima          0.0080               0.0095   0.0108
    Transformer      0.0088               0.0114   0.0142
    feed-forward     0.0090               0.0115   0.0139
    seasonal naive   0.0107               0.0107   0.0129
    DeepAR           0.0233               0.0292   0.0330

The rates are near a random walk (repeating the last value has ND 0.0093): the data show that a
model does no harm rather than that it has skill.
"""

import argparse
from pathlib import Path

from channel import Series, check_numbers, read_rows, write_channel

NAME = "exchange_rate.txt"
URL = (
    "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/"
    "master/exchange_rate/exchange_rate.txt.gz"
)
START = "1990-01-01 00:00:00"
NUM_CURRENCIES = 8
TRAIN_ROWS = 6071
HORIZON_STEPS = 30
NUM_WINDOWS = 5


def columns_of(rows: list[list[str]]) -> list[list[str]]:
    """Return the points of each currency."""
    needed = TRAIN_ROWS + NUM_WINDOWS * HORIZON_STEPS
    if len(rows) < needed:
        raise SystemExit(f"{NAME}: expected at least {needed} rows, got {len(rows)}; fetch anew.")
    for number, row in enumerate(rows, start=1):
        if len(row) != NUM_CURRENCIES:
            raise SystemExit(
                f"{NAME}: row {number}: expected {NUM_CURRENCIES} currencies, got {len(row)}; "
                "fetch the file anew."
            )
        check_numbers(row, f"{NAME}: row {number}")
    return [list(column) for column in zip(*rows, strict=True)]


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source", type=Path, help=f"folder with {NAME}, plain or .gz; without it, download it"
    )
    parser.add_argument("--output", type=Path, default=Path("data/exchange_rate"))
    options = parser.parse_args()

    currencies = columns_of(read_rows(NAME, source=options.source, url=URL))
    write_channel(
        options.output / "train",
        (
            Series(start=START, target=points[:TRAIN_ROWS], cat=[index])
            for index, points in enumerate(currencies)
        ),
    )
    write_channel(
        options.output / "test",
        (
            Series(start=START, target=points[: TRAIN_ROWS + window * HORIZON_STEPS], cat=[index])
            for window in range(1, NUM_WINDOWS + 1)
            for index, points in enumerate(currencies)
        ),
    )


if __name__ == "__main__":
    main()
