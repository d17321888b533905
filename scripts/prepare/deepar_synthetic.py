#!/usr/bin/env python3
"""Draw the noisy sine waves of the SageMaker DeepAR example notebook as DeepAR channels.

Origin: the recipe of `deepar_synthetic.ipynb` in aws/amazon-sagemaker-examples. With U uniform on
[0, 1) and N normal, each series of 400 hourly points from 2016-01-01 is

    level = 10 U,   amplitude = (0.1 + 0.3 U) level,
    value_t = level + amplitude sin(2 pi t / 24) + 0.05 level N.

Licence: none needed, the numbers are drawn here.

Writes `train`, the first 352 points of 200 series, and `test`, all 400 points of the same series.
The same seed gives the same bytes. Values are rounded to 6 decimals, far below their noise.

Published scores (SageMaker's image on its own draw; time_freq H, context_length 72,
prediction_length 48, gaussian, 3 layers, 40 cells, mini_batch_size 32, 20 epochs, learning_rate
0.001, dropout_rate 0.05, early_stopping_patience 10): RMSE 0.302 to 0.360, mean_wQuantileLoss
0.0330 to 0.0368. Nobody can do better than RMSE 0.289 and mean_wQuantileLoss 0.0309, on average
over draws: that is the noise itself.
"""

import argparse
import math
import random
from pathlib import Path

from channel import Series, write_channel

START = "2016-01-01 00:00:00"
SERIES_STEPS, TRAIN_STEPS, DAY_STEPS = 400, 352, 24
LEVEL_MAX, NOISE_SHARE = 10.0, 0.05
AMPLITUDE_SHARE_MIN, AMPLITUDE_SHARE_RANGE = 0.1, 0.3


def draw_points(source: random.Random) -> list[str]:
    """Return the points of one series, as text with 6 decimals."""
    level = LEVEL_MAX * source.random()
    amplitude = (AMPLITUDE_SHARE_MIN + AMPLITUDE_SHARE_RANGE * source.random()) * level
    wave = (amplitude * math.sin(2 * math.pi * t / DAY_STEPS) for t in range(SERIES_STEPS))
    return [f"{level + value + NOISE_SHARE * level * source.gauss(0, 1):.6f}" for value in wave]


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("data/deepar_synthetic"))
    parser.add_argument("--series", type=int, default=200, help="how many series to draw")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    source = random.Random(options.seed)  # noqa: S311  waves, not secrets
    drawn = [draw_points(source) for _ in range(options.series)]
    write_channel(
        options.output / "train",
        (Series(start=START, target=points[:TRAIN_STEPS]) for points in drawn),
    )
    write_channel(options.output / "test", (Series(start=START, target=points) for points in drawn))


if __name__ == "__main__":
    main()
