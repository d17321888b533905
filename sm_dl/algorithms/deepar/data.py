"""Channels to series, and everything that must hold for all series together (spec section 3)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.series import Series, series_from_record
from sm_dl.content_types import PARQUET
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.source import channel_files
from sm_dl.data.table import read_rows
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

REACHED_SHARE = 2 / 3
"""A lag is used when at least this share of all training steps has a value so far back."""
MIN_OBSERVATIONS = 300
"""Over all training series together (AWS developer guide)."""


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


def read_channel(source: ChannelSource, frequency: Frequency) -> Iterator[Series]:
    """Yield the series of a channel, in the order of its files and lines.

    Raises:
        UserError: A file or a record is not what it should be; the message names file and line.
    """
    for file in channel_files(source):
        records = read_rows(file) if file.media_type == PARQUET else read_objects(file)
        for place, record in records:
            yield series_from_record(record, place, frequency)


def infer_schema(hyperparameters: DeepARHyperparameters, series: Sequence[Series]) -> Schema:
    """Return what the training series and the hyperparameters say together.

    `auto` is decided by the first series, as the service does: all others must be like it.

    Raises:
        UserError: There is no series, or an explicit number does not fit the data.
    """
    if not series:
        raise UserError("channel train: expected at least one series; got only empty files.")
    frequency = Frequency.parse(hyperparameters.time_freq)
    return Schema(
        frequency=frequency,
        prediction_length=hyperparameters.prediction_length,
        likelihood=hyperparameters.likelihood,
        cardinality=_cardinality(hyperparameters.cardinality, series),
        num_dynamic=_num_dynamic(hyperparameters.num_dynamic_feat, series),
        lags=hyperparameters.lags or reached_lags(frequency, series),
        has_gaps=any(bool(np.isnan(one.target_T).any()) for one in series),
    )


def reached_lags(frequency: Frequency, series: Sequence[Series]) -> tuple[int, ...]:
    """Return the frequency's lags that the training series are long enough for.

    A long lag that few training steps have is mostly 0 in training and always present in the
    forecast, which the network has not learnt to read. On M4 hourly (700 to 960 points; 700
    updates, seeds 0 and 1) mean wQL was 0.034 and 0.039 with lags up to 505, 0.032 and 0.036 up
    to 337, 0.031 and 0.028 up to 169, which this rule gives.

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


def check_cat(series: Series, cardinality: Sequence[int]) -> None:
    """Refuse a series whose categories are not of the given sizes.

    Raises:
        UserError: `cat` is absent, of another length, or holds a category that does not exist.
    """
    if not cardinality:
        return
    cat = series.cat_C
    if cat is None or len(cat) != len(cardinality):
        got = "none" if cat is None else str(list(cat))
        raise UserError(
            f"{series.place}: cat: expected {len(cardinality)} categories as in the rest of the data; got {got}."
        )
    for index, (value, size) in enumerate(zip(cat, cardinality, strict=True)):
        if value >= size:
            raise UserError(
                f"{series.place}: cat[{index}]: expected 0 to {size - 1}; got {value}. "
                f"Categories must occur in training, and fit cardinality={list(cardinality)}."
            )


def check_dynamic(series: Series, num_dynamic: int, lengths: Sequence[int], rule: str) -> None:
    """Refuse a series without the given number of features of one of the given lengths.

    Raises:
        UserError: `dynamic_feat` is absent, of another number or of another length.
    """
    if not num_dynamic:
        return
    features = series.dynamic_DT
    if features is None or len(features) != num_dynamic:
        got = "none" if features is None else str(len(features))
        raise UserError(
            f"{series.place}: dynamic_feat: expected {num_dynamic} lists as in the rest of the data; got {got}."
        )
    if features.shape[1] not in lengths:
        raise UserError(
            f"{series.place}: dynamic_feat: expected lists of {rule}, that is "
            f"{' or '.join(str(length) for length in lengths)} values; got {features.shape[1]}."
        )


def check_training_series(series: Series, schema: Schema) -> None:
    """Refuse a series that cannot be trained on or scored with a schema.

    Raises:
        UserError: Categories, features or target do not fit.
    """
    check_cat(series, schema.cardinality)
    length = len(series)
    check_dynamic(
        series,
        schema.num_dynamic,
        (length, length + schema.prediction_length),
        "the length of target, or of target and prediction_length",
    )
    check_target(series, schema.likelihood)


def check_target(series: Series, likelihood: str) -> None:
    """Refuse values that the likelihood cannot give.

    Raises:
        UserError: A value is out of [0, 1] for beta, or no count for negative-binomial.
    """
    target = series.target_T[~np.isnan(series.target_T)]
    if likelihood == "beta":
        wrong, expected = (target < 0) | (target > 1), "values in [0, 1]"
    elif likelihood == "negative-binomial":
        wrong, expected = (target < 0) | (target != np.floor(target)), "non-negative integers"
    else:
        return
    if wrong.any():
        raise UserError(
            f"{series.place}: target: likelihood {likelihood} expects {expected}; "
            f"got {float(target[wrong][0])}. Choose another likelihood or scale the data."
        )


def check_enough_observations(series: Sequence[Series]) -> None:
    """Refuse training series that hold too little together.

    Raises:
        UserError: Fewer than `MIN_OBSERVATIONS` values are known.
    """
    observations = sum(int((~np.isnan(one.target_T)).sum()) for one in series)
    if observations < MIN_OBSERVATIONS:
        raise UserError(
            f"channel train: expected at least {MIN_OBSERVATIONS} observations over all series; "
            f"got {observations}. Bring longer or more series."
        )


def usable(series: Sequence[Series], schema: Schema, channel: str) -> list[Series]:
    """Return the series long enough to cut windows from, and log what the data are like.

    Raises:
        UserError: A series does not fit the schema, or none is long enough.
    """
    for one in series:
        check_training_series(one, schema)
    long_enough = [
        one
        for one in series
        if len(one) >= schema.prediction_length and not np.isnan(one.target_T).all()
    ]
    if len(long_enough) < len(series):
        logger.warning(
            "channel %s: %d of %d series are shorter than prediction_length=%d or hold no value, and are left out.",
            channel, len(series) - len(long_enough), len(series), schema.prediction_length,
        )  # fmt: skip
    if not long_enough:
        raise UserError(
            f"channel {channel}: expected at least one series of prediction_length={schema.prediction_length} "
            f"points or more; got {len(series)} shorter ones. Lower prediction_length or bring longer series."
        )
    log_statistics(channel, series)
    return long_enough


def log_statistics(channel: str, series: Sequence[Series]) -> None:
    """Log what the service prints about a data set."""
    values = np.concatenate([one.target_T for one in series]).astype(np.float64)
    missing = np.isnan(values)
    known = values[~missing]
    kind = "integer" if (known == np.floor(known)).all() else "real"
    share = f"yes ({100 * missing.mean():.1f}%)" if missing.any() else "no"
    logger.info("%s data: number of time series: %d (%s)", channel, len(series), kind)
    logger.info("%s data: number of observations: %d", channel, len(known))
    logger.info("%s data: mean target length: %s", channel, len(values) / len(series))
    if len(known):
        logger.info(
            "%s data: min/mean/max target: %s/%s/%s",
            channel,
            known.min(),
            known.mean(),
            known.max(),
        )
        logger.info("%s data: mean abs(target): %s", channel, np.abs(known).mean())
    logger.info("%s data: contains missing values: %s", channel, share)
