"""Channels to series, and what must hold for the series of a channel together (spec section 3)."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.checks import check_cat, check_dynamic, check_target
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import FIELDS, Series, series_from_record
from sm_dl.content_types import JSON_LINES, PARQUET
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.source import channel_files
from sm_dl.data.table import read_rows
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)

MIN_OBSERVATIONS = 300
"""Over all training series together (AWS developer guide)."""


def read_channel(
    source: ChannelSource, frequency: Frequency, bad: BadRecords | None = None
) -> Iterator[Series]:
    """Yield the series of a channel, in the order of its files and lines.

    Args:
        source: The channel.
        frequency: The step of the series.
        bad: May leave out a record that is no series; without it such a record is refused.
    Raises:
        UserError: A file or a record is not what it should be; the message names file and line.
    """
    bad = bad or BadRecords()
    for file in channel_files(source, accepted=(JSON_LINES, PARQUET)):
        is_table = file.media_type == PARQUET
        records = read_rows(file, FIELDS) if is_table else read_objects(file, bad)
        for place, record in records:
            try:
                series = series_from_record(record, place, frequency)
            except UserError as error:
                bad.leave_out(error)
            else:
                yield series


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
