"""What all series of a model share, learnt from the training series and the hyperparameters."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.checks import check_cat
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.series import Series
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

REACHED_SHARE = 2 / 3
"""A lag is used when at least this share of all training steps has a value so far back."""


@dataclass(frozen=True)
class Schema:
    """What every series of a model has in common."""

    frequency: Frequency
    prediction_length: int
    likelihood: str
    cardinality: tuple[int, ...]
    """Categories of each `cat` component; empty when categories are not used."""
    num_dynamic: int
    """Features each step; 0 when they are not used."""
    lags: tuple[int, ...]
    """Steps back whose values the network sees, rising, starting with 1."""
    has_gaps: bool
    """Whether training series miss values."""
    feature_means: tuple[float, ...] = ()
    """Mean of each dynamic feature in training; empty when features are taken as they come."""
    feature_deviations: tuple[float, ...] = ()
    """Standard deviation of each, 1 where it is constant."""


def infer_schema(hyperparameters: DeepARHyperparameters, series: Sequence[Series]) -> Schema:
    """Return what the training series and the hyperparameters say together.

    `auto` is decided by the first series, as the service does: all others must be like it.

    Raises:
        UserError: There is no series, or an explicit number does not fit the data.
    """
    if not series:
        raise UserError("channel train: expected at least one series; got only empty files.")
    frequency = Frequency.parse(hyperparameters.time_freq)
    num_dynamic = _num_dynamic(hyperparameters.num_dynamic_feat, series)
    means, deviations = _feature_scale(series, num_dynamic)
    return Schema(
        frequency=frequency,
        prediction_length=hyperparameters.prediction_length,
        likelihood=hyperparameters.likelihood,
        cardinality=_cardinality(hyperparameters.cardinality, series),
        num_dynamic=num_dynamic,
        feature_means=means,
        feature_deviations=deviations,
        lags=hyperparameters.lags or reached_lags(frequency, series),
        has_gaps=any(bool(np.isnan(one.target_T).any()) for one in series),
    )


def reached_lags(frequency: Frequency, series: Sequence[Series]) -> tuple[int, ...]:
    """Return the frequency's lags that the training series are long enough for.

    A long lag that few training steps have is mostly 0 in training and always present in the
    forecast, which the network has not learnt to read. On M4 hourly (700 to 960 points, seeds 0
    and 1) mean_wQuantileLoss is 0.066 and 0.052 with all lags up to 721, and 0.028 and 0.029 with
    those up to 169, which this rule gives.

    Differs from the service: it documents no such rule, and no list of lags either.
    """
    lengths = np.array([len(one) for one in series], dtype=np.int64)
    lags = frequency.lags()
    shares = [np.maximum(lengths - lag, 0).sum() / max(lengths.sum(), 1) for lag in lags]
    used = tuple(
        lag for lag, share in zip(lags, shares, strict=True) if share >= REACHED_SHARE or lag == 1
    )
    logger.info("Lags: %s", list(used))
    if len(used) < len(lags):
        logger.info(
            "Lags left out, since less than two thirds of the training steps reach so far back: %s",
            list(lags[len(used) :]),
        )
    return used


def _cardinality(setting: str | tuple[int, ...], series: Sequence[Series]) -> tuple[int, ...]:
    if setting == "ignore":
        return ()
    if isinstance(setting, tuple):
        return setting
    first = series[0].cat_C
    if not first:
        for one in series:
            if one.cat_C:
                raise UserError(
                    f"{one.place}: cat: expected none, as in the first series ({series[0].place}); "
                    f"got {list(one.cat_C)}. Give cat in every record, or set cardinality=ignore."
                )
        return ()
    logger.info(
        "[cardinality=auto] `cat` field was found in %s and will be used for training.",
        series[0].place,
    )
    width = len(first)
    for one in series:
        check_cat(one, (2**31,) * width)
    sizes = tuple(int(size) + 1 for size in np.max([one.cat_C or () for one in series], axis=0))
    logger.info("Inferred value of cardinality=%s from dataset.", list(sizes))
    return sizes


def _num_dynamic(setting: str | int, series: Sequence[Series]) -> int:
    if isinstance(setting, int):
        return setting
    if setting == "ignore":
        return 0
    first = series[0]
    if first.dynamic_DT is None:
        for one in series:
            if one.dynamic_DT is not None:
                raise UserError(
                    f"{one.place}: dynamic_feat: expected none, as in the first series ({first.place}); "
                    f"got {len(one.dynamic_DT)} lists. "
                    "Give dynamic_feat in every record, or set num_dynamic_feat=ignore."
                )
        return 0
    logger.info(
        "[num_dynamic_feat=auto] `dynamic_feat` field was found in %s and will be used for training.",
        first.place,
    )
    logger.info("Inferred value of num_dynamic_feat=%d from dataset.", len(first.dynamic_DT))
    return len(first.dynamic_DT)


def _feature_scale(
    series: Sequence[Series], num_dynamic: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each feature over all training steps.

    Differs from the service, which documents no scaling: a price in thousands beside a rate in
    hundredths would leave the network to unlearn the units first.
    """
    present = [
        one.dynamic_DT.astype(np.float64)
        for one in series
        if one.dynamic_DT is not None and len(one.dynamic_DT) == num_dynamic
    ]
    if not num_dynamic or not present:
        return (), ()
    values_DT = np.concatenate(present, axis=1)
    if not values_DT.shape[1]:
        return (), ()
    deviations = values_DT.std(axis=1)
    return (
        tuple(values_DT.mean(axis=1).tolist()),
        tuple(np.where(deviations > 0, deviations, 1.0).tolist()),
    )
