"""Scores of the `test` channel (spec section 5), summed series by series in float64.

Shape letters in this file: B = series, Q = steps, K = sample paths, V = quantile levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Scores:
    """How good forecasts were, over all points whose truth is known."""

    rmse: float
    """Root mean squared error of the mean forecast, in the data's units."""
    weighted_quantile_losses: dict[float, float]
    """Level to 2 * sum of pinball losses / sum of |truth|."""
    mean_absolute_quantile_loss: float
    """Mean over the levels of 2 * sum of pinball losses, in the data's units."""

    @property
    def mean_weighted_quantile_loss(self) -> float:
        """Return the mean over the levels."""
        return float(np.mean(list(self.weighted_quantile_losses.values())))


class Scorer:
    """Sums errors batch by batch, so that no forecast needs to be kept."""

    def __init__(self, levels: Sequence[float]) -> None:
        """Remember the quantile levels."""
        self.levels = np.asarray(levels, dtype=np.float64)
        self.pinball_V = np.zeros(len(self.levels))
        self.squares = 0.0
        self.magnitude = 0.0
        self.count = 0

    def add(self, paths_BKQ: Array, truth_BQ: Array) -> None:
        """Add forecasts, shape (B, K, Q), and what came true, shape (B, Q), NaN where unknown."""
        known_BQ = ~np.isnan(truth_BQ)
        truth = truth_BQ[known_BQ].astype(np.float64)
        mean = paths_BKQ.mean(axis=1, dtype=np.float64)[known_BQ]
        quantiles = np.quantile(paths_BKQ, self.levels, axis=1)[:, known_BQ]
        error = truth - quantiles
        level = self.levels[:, None]
        self.pinball_V += 2 * np.where(error > 0, level * error, (level - 1) * error).sum(axis=1)
        self.squares += float(np.square(mean - truth).sum())
        self.magnitude += float(np.abs(truth).sum())
        self.count += len(truth)

    def scores(self) -> Scores | None:
        """Return the scores, or None when no truth was known at all."""
        if self.count == 0:
            return None
        weighted = (
            self.pinball_V / self.magnitude
            if self.magnitude
            else np.full_like(self.pinball_V, np.nan)
        )
        return Scores(
            rmse=float(np.sqrt(self.squares / self.count)),
            weighted_quantile_losses=dict(
                zip(self.levels.tolist(), weighted.tolist(), strict=True)
            ),
            mean_absolute_quantile_loss=float(self.pinball_V.mean()),
        )
