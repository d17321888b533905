"""Scoring of the `test` channel: forecasts of what is known already, and a yardstick."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.data import check_training_series, log_statistics, read_channel
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.metrics import Scorer, Scores
from sm_dl.algorithms.deepar.predictor import DeepARPredictor
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series
from sm_dl.contract.figures import FanPanel
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.floating]

SERIES_AT_ONCE = 128
NUM_PANELS = 6
CANDIDATES = 240
"""Series whose forecasts are kept until it is known which ones to show."""
SHOWN_HISTORY = 3
"""History in a fan chart, in forecast lengths."""
SHOWN_LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
LONG_HORIZON = 400
"""The service advises against longer forecasts."""
SEASONS = {"min": 1440, "H": 24, "D": 7, "W": 52, "M": 12}
"""Steps of the base frequency after which the seasonal naive forecast repeats history."""


@dataclass(frozen=True)
class Tested:
    """What scoring found."""

    scores: Scores
    naive: Scores
    """Of the forecast that repeats the last season."""
    season: int
    panels: Sequence[FanPanel]
    """A few series, from the best forecast to the worst."""


def read_test_series(
    source: ChannelSource, schema: Schema, bad: BadRecords | None = None
) -> list[Series]:
    """Return the test series that can be scored, before hours of training rather than after.

    Raises:
        UserError: A test series does not fit the schema.
    """
    series = list(read_channel(source, schema.frequency, bad))
    for one in series:
        check_training_series(one, schema)
    scorable = [one for one in series if len(one) > schema.prediction_length]
    if len(scorable) < len(series):
        logger.warning(
            "channel test: %d of %d series have no point before the last prediction_length=%d, and are left out.",
            len(series) - len(scorable), len(series), schema.prediction_length,
        )  # fmt: skip
    if scorable:
        log_statistics("test", scorable)
    return scorable


def score(
    predictor: DeepARPredictor,
    series: Sequence[Series],
    hyperparameters: DeepARHyperparameters,
    log: MetricLog,
) -> Tested | None:
    """Forecast the last `prediction_length` points of each series from the rest, and score.

    Returns None when there is nothing to score.
    """
    schema = predictor.schema
    if max(schema.prediction_length, hyperparameters.context_length) > LONG_HORIZON:
        logger.warning(
            "context_length or prediction_length is above %d: scoring may take long.", LONG_HORIZON
        )
    season = max(1, SEASONS[schema.frequency.base] // schema.frequency.multiple)
    scorer, naive = Scorer(hyperparameters.test_quantiles), Scorer(hyperparameters.test_quantiles)
    shown: list[tuple[float, FanPanel]] = []
    stride = max(1, len(series) // CANDIDATES)
    position = 0
    for batch in _batches(series):
        known = [without_future(one, schema.prediction_length) for one in batch]
        paths_BKQ = predictor.forecast(
            known,
            num_samples=hyperparameters.num_eval_samples,
            num_steps=schema.prediction_length,
            seed=hyperparameters.seed + position,
        )
        truth_BQ = np.stack([one.target_T[-schema.prediction_length :] for one in batch])
        scorer.add(paths_BKQ, truth_BQ)
        naive.add(
            np.stack([seasonal_naive(one, season, schema.prediction_length) for one in known]),
            truth_BQ,
        )
        for one, paths in zip(batch, paths_BKQ, strict=True):
            if position % stride == 0:
                shown.append(_panel(one, paths, schema.frequency))
            position += 1
    scores, naive_scores = scorer.scores(), naive.scores()
    if scores is None or naive_scores is None:
        logger.warning("channel test: no point of the scored range is known; there is no score.")
        return None
    _log_scores(scores, log)
    return Tested(scores, naive_scores, season, _spread(shown))


def _batches(series: Sequence[Series]) -> Iterator[list[Series]]:
    iterator = iter(series)
    while batch := list(islice(iterator, SERIES_AT_ONCE)):
        yield batch


def without_future(series: Series, num_steps: int) -> Series:
    """Return a series as it was before its last `num_steps` points; its features are kept."""
    return replace(series, target_T=series.target_T[:-num_steps])


def seasonal_naive(series: Series, season: int, num_steps: int) -> Array:
    """Return the last season repeated, shape (1, num_steps): one path, the usual yardstick.

    A missing value is filled with the last one known before it; a series shorter than a season
    repeats its last value.
    """
    history = series.target_T
    known = np.flatnonzero(~np.isnan(history))
    if not len(known):
        return np.zeros((1, num_steps), dtype=np.float32)
    latest = np.maximum.accumulate(np.where(np.isnan(history), 0, np.arange(len(history))))
    filled = np.where(np.isnan(history[latest]), history[known[0]], history[latest])
    last = filled[-season:] if len(filled) >= season else filled[-1:]
    return np.resize(last, (1, num_steps))


def _panel(series: Series, paths_KQ: Array, frequency: Frequency) -> tuple[float, FanPanel]:
    """Return how far off a forecast was, relative to the truth, and its chart."""
    num_steps = paths_KQ.shape[1]
    truth = series.target_T[-num_steps:]
    history = series.target_T[:-num_steps][-SHOWN_HISTORY * num_steps :]
    first = len(series) - num_steps - len(history)
    times = [
        frequency.text_of(series.start + step * frequency.step)
        for step in range(first, len(series))
    ]
    quantiles = np.quantile(paths_KQ, SHOWN_LEVELS, axis=0)
    error = np.nansum(np.abs(truth - quantiles[len(SHOWN_LEVELS) // 2]))
    panel = FanPanel(
        title=series.name or series.place,
        history_times=times[: len(history)],
        history=_or_none(history),
        times=times[len(history) :],
        truth=_or_none(truth),
        quantiles={
            str(level): values.tolist()
            for level, values in zip(SHOWN_LEVELS, quantiles, strict=True)
        },
    )
    return float(error / max(float(np.nansum(np.abs(truth))), 1e-12)), panel


def _or_none(values: Array) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _spread(shown: list[tuple[float, FanPanel]]) -> list[FanPanel]:
    """Return a few panels at even ranks from the best forecast to the worst."""
    ranked = sorted(shown, key=lambda pair: pair[0])
    ranks = np.unique(
        np.linspace(0, len(ranked) - 1, min(NUM_PANELS, len(ranked))).round().astype(int)
    )
    return [
        replace(
            ranked[rank][1], title=f"{ranked[rank][1].title} · error {100 * ranked[rank][0]:.1f} %"
        )
        for rank in ranks
    ]


def _log_scores(scores: Scores, log: MetricLog) -> None:
    lines = {
        "RMSE": scores.rmse,
        "mean_absolute_QuantileLoss": scores.mean_absolute_quantile_loss,
        "mean_wQuantileLoss": scores.mean_weighted_quantile_loss,
        **{
            f"wQuantileLoss[{level}]": loss
            for level, loss in scores.weighted_quantile_losses.items()
        },
    }
    for name, value in lines.items():
        logger.info("#test_score (%s, %s): %s", log.host, name, value)
    log.say("test:RMSE", scores.rmse)
    log.say("test:mean_wQuantileLoss", scores.mean_weighted_quantile_loss)
