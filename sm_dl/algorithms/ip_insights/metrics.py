"""How well scores tell observed pairs from generated ones."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]

NUM_BINS = 60
QUANTILES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def area_under_curve(observed: Scores, generated: Scores) -> float:
    """Return how often an observed pair scores above a generated one, ties counted by half.

    That is the area under the ROC curve; NaN when there are none of either.
    """
    if not len(observed) or not len(generated):
        return float("nan")
    ranked = np.sort(generated)
    below = np.searchsorted(ranked, observed, "left") + np.searchsorted(ranked, observed, "right")
    return float(below.mean(dtype=np.float64) / 2 / len(generated))


def roc_curve(
    observed: Scores, generated: Scores, num_points: int
) -> tuple[list[float], list[float]]:
    """Return points of the ROC curve from (0, 0) to (1, 1): false and true positive rates.

    Args:
        observed: Scores of observed pairs, the positive class.
        generated: Scores of generated pairs.
        num_points: Points at equal steps of the false positive rate.
    """
    ranked_observed, ranked_generated = np.sort(observed), np.sort(generated)
    false_rates = np.linspace(0, 1, num_points)
    # thresholds between scores of generated pairs, so that so many of them lie above
    above = np.round(false_rates * len(generated)).astype(np.int64)
    thresholds = np.concatenate([ranked_generated[::-1], [-np.inf]])[above]
    true_rates = 1 - np.searchsorted(ranked_observed, thresholds, "right") / len(observed)
    return [0.0, *false_rates.tolist()], [0.0, *true_rates.tolist()]


@dataclass(frozen=True)
class Distribution:
    """What scores are like."""

    quantiles: dict[float, float]
    edges: list[float]
    """Of the bins, one more than bins."""
    observed: list[int]
    """Scores of observed pairs in each bin."""
    generated: list[int]


def distribution(observed: Scores, generated: Scores) -> Distribution:
    """Return quantiles of the observed scores, and histograms of both kinds over common bins."""
    every = np.concatenate([observed, generated]).astype(np.float64)
    edges = np.histogram_bin_edges(every, NUM_BINS)
    levels = np.quantile(observed.astype(np.float64), QUANTILES)
    return Distribution(
        dict(zip(QUANTILES, levels.tolist(), strict=True)),
        edges.tolist(),
        np.histogram(observed, edges)[0].tolist(),
        np.histogram(generated, edges)[0].tolist(),
    )
