"""What one epoch is (spec section 1.7): which windows, in which order.

An epoch visits every series about once, and often enough for ten batches. A visit draws each
possible forecast start with probability 1 / (number of starts): one window on average, in random
number. Everything follows from (seed, epoch) alone, so a resumed run sees the same windows.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

MIN_BATCHES = 10


@dataclass(frozen=True)
class EpochRule:
    """How often each series is visited in an epoch."""

    passes: int
    probability: float
    """Chance that a pass visits a series."""

    @classmethod
    def of(cls, num_series: int, batch_size: int) -> "EpochRule":
        """Return one sure pass over many series, or several random ones over few."""
        wanted = MIN_BATCHES * batch_size
        if num_series >= wanted:
            return cls(1, 1.0)
        passes = math.ceil(wanted / num_series)
        return cls(passes, wanted / num_series / passes)

    def log_line(self) -> str | None:
        """Return the service's words about a small data set, None for a large one."""
        if self.passes == 1 and self.probability == 1.0:
            return None
        return (
            f"Small number of time series. Doing {self.passes} passes over dataset "
            f"with prob {self.probability} per epoch."
        )


def draw_epoch(
    num_starts_N: Indices,
    rule: EpochRule,
    *,
    seed: int,
    epoch: int,
) -> tuple[Indices, Indices]:
    """Return the windows of one epoch, in training order: series indices and forecast starts.

    Args:
        num_starts_N: Forecast starts each series offers, at least 1.
        rule: How often series are visited.
        seed: Of the job.
        epoch: Counted from 0.
    """
    random = np.random.Generator(np.random.Philox(key=(seed, epoch)))
    num_series = len(num_starts_N)
    visits = random.binomial(rule.passes, rule.probability, size=num_series)
    # n starts, each taken with probability 1/n: their number is binomial, their places uniform
    windows_N = random.binomial(visits * num_starts_N, 1 / num_starts_N)
    series = np.repeat(np.arange(num_series), windows_N)
    if not len(series):  # about once in 20,000 of the smallest epochs
        series = random.integers(0, num_series, size=1)
    starts = random.integers(0, num_starts_N[series])
    order = random.permutation(len(series))
    return series[order], starts[order]
