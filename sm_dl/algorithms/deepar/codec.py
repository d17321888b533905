"""Requests and responses of a DeepAR endpoint (spec section 6): JSON, and JSON Lines for batches."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from sm_dl.algorithms.deepar.calendar import check_span
from sm_dl.algorithms.deepar.checks import check_cat, check_dynamic, check_target
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series, series_from_record
from sm_dl.content_types import JSON_LINES, MediaType
from sm_dl.data.jsonlines import object_from_line
from sm_dl.errors import UserError, shown
from sm_dl.job.validation import validate

logger = logging.getLogger(__name__)

CONFIGURATION_VARIABLE = "DEEPAR_INFERENCE_CONFIG"
MAX_SAMPLES = 10_000
MAX_DRAWS = 20_000_000
"""Series * steps * samples (or quantiles) of one request: about 80 MB of paths. Time: see `cost.py`."""


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")  # noqa: TRY004 - pydantic's own
    return value


Count = Annotated[int, BeforeValidator(_no_truth)]
"""An integer; 50.0 and "50", which some clients write, are one, too."""


class Configuration(BaseModel):
    """What a client wants back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    num_samples: Annotated[Count, Field(ge=1, le=MAX_SAMPLES)] = 100
    output_types: tuple[Literal["mean", "quantiles", "samples"], ...] = ("mean", "quantiles")
    quantiles: tuple[str, ...] = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9")
    """As text, since the answer repeats each level as it was sent."""
    prediction_length: Annotated[Count, Field(ge=1)] | None = None
    """Ours: fewer steps than the model was trained for."""
    seed: Annotated[Count, Field(ge=0, lt=2**63)] | None = None
    """Ours: the same request with the same seed gets the same answer."""

    @field_validator("quantiles", mode="before")
    @classmethod
    def _as_sent(cls, levels: Any) -> Any:  # noqa: ANN401 - pydantic hands over anything
        if not isinstance(levels, list | tuple):
            raise ValueError("not a list")  # noqa: TRY004 - pydantic turns ValueError into its own
        return [level if isinstance(level, str) else repr(level) for level in levels]

    @field_validator("quantiles")
    @classmethod
    def _levels(cls, levels: tuple[str, ...]) -> tuple[str, ...]:
        for level in levels:
            if not 0 < float(level) < 1:
                raise ValueError(f"level {level} lies outside (0, 1)")
        return levels


@dataclass(frozen=True)
class ForecastRequest:
    """The series of one request body and what to return for them."""

    series: Sequence[Series]
    configuration: Configuration


@dataclass(frozen=True)
class Forecast:
    """Paths of one request, shape (series, samples, steps), and how to show them."""

    paths_BKQ: npt.NDArray[np.floating]
    configuration: Configuration


def batch_configuration(environment: Mapping[str, str] = os.environ) -> Configuration:
    """Return the configuration of requests that bring none.

    Raises:
        UserError: `DEEPAR_INFERENCE_CONFIG` does not hold one.
    """
    text = environment.get(CONFIGURATION_VARIABLE, "").strip()
    if not text:
        return Configuration()
    return _configuration(
        object_from_line(text.encode(), f"environment variable {CONFIGURATION_VARIABLE}"),
        f"environment variable {CONFIGURATION_VARIABLE}: key",
    )


def decode(
    body: bytes, media: MediaType, schema: Schema, default: Configuration
) -> ForecastRequest:
    """Return what a request body asks for.

    Args:
        body: `{"instances": [...], "configuration": {...}}`, or one instance a line.
        media: Of the body.
        schema: What the model was trained with.
        default: For requests without a configuration.
    Raises:
        UserError: The body or an instance is not what it should be.
    """
    if media.name == JSON_LINES:
        lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
        records = [
            (f"line {number}", object_from_line(line, f"line {number}")) for number, line in lines
        ]
        if not records:
            raise UserError("request body: expected one series a line; got only blank lines.")
        configuration = default
    else:
        document = object_from_line(body, "request body")
        instances = document.get("instances")
        if not isinstance(instances, list) or not instances:
            raise UserError(f"instances: expected a list of series; got {shown(instances)}.")
        records = [(f"instances[{index}]", instance) for index, instance in enumerate(instances)]
        given = document.get("configuration")
        configuration = default if given is None else _configuration(given, "configuration")
    configuration = _with_horizon(configuration, schema)
    num_steps = configuration.prediction_length or schema.prediction_length
    values = max(configuration.num_samples, len(configuration.quantiles))
    draws = len(records) * values * num_steps
    if draws > MAX_DRAWS:
        raise UserError(
            f"request: expected at most {MAX_DRAWS} values (series * prediction_length * num_samples, "
            f"or * quantiles where they are more); got {draws}. Send fewer series at once."
        )
    _warn_of_needless_fields([record for _, record in records], schema)
    series = [_instance(record, place, schema) for place, record in records]
    step = schema.frequency.step
    last = max(one.start + (len(one) + num_steps - 1) * step for one in series)
    check_span(schema.frequency, min(one.start for one in series), last)
    return ForecastRequest(series, configuration)


def _configuration(value: object, place: str) -> Configuration:
    if not isinstance(value, dict):
        raise UserError(f"{place}: expected an object; got {shown(value)}.")
    return validate(Configuration, value, place=place)


def _with_horizon(configuration: Configuration, schema: Schema) -> Configuration:
    longest = schema.prediction_length
    wanted = configuration.prediction_length
    if wanted is not None and wanted > longest:
        raise UserError(
            f"configuration prediction_length: expected at most {longest}, the trained one; got {wanted}."
        )
    return configuration.model_copy(update={"prediction_length": wanted or longest})


def _instance(record: object, place: str, schema: Schema) -> Series:
    if not isinstance(record, dict):
        raise UserError(f"{place}: expected an object with start and target; got {shown(record)}.")
    used = {
        "start": record.get("start"),
        "target": record.get("target"),
        "cat": record.get("cat") if schema.cardinality else None,
        "dynamic_feat": record.get("dynamic_feat") if schema.num_dynamic else None,
    }  # what the model was not trained with is ignored, as in training with `ignore`
    series = series_from_record(used, place, schema.frequency)
    check_cat(series, schema.cardinality)
    check_dynamic(
        series,
        schema.num_dynamic,
        (len(series) + schema.prediction_length,),
        "the length of target and prediction_length together",
    )
    check_target(series, schema.likelihood)
    return series


def _warn_of_needless_fields(records: Sequence[object], schema: Schema) -> None:
    used = {"cat": bool(schema.cardinality), "dynamic_feat": bool(schema.num_dynamic)}
    for name, is_used in used.items():
        if not is_used and any(isinstance(one, dict) and one.get(name) for one in records):
            logger.warning("request: %s is ignored: the model was trained without it.", name)


def encode(forecast: Forecast, media_type: str) -> bytes:
    """Return the response body: `{"predictions": [...]}`, or one prediction a line."""
    predictions = [_prediction(paths, forecast.configuration) for paths in forecast.paths_BKQ]
    if media_type == JSON_LINES:
        return b"".join(_json(prediction) + b"\n" for prediction in predictions)
    return _json({"predictions": predictions})


def _prediction(paths_KQ: npt.NDArray[np.floating], wanted: Configuration) -> dict[str, Any]:
    prediction: dict[str, Any] = {}
    if "quantiles" in wanted.output_types:
        levels = [float(level) for level in wanted.quantiles]
        values = np.quantile(paths_KQ, levels, axis=0) if levels else []
        prediction["quantiles"] = dict(zip(wanted.quantiles, values, strict=True))
    if "samples" in wanted.output_types:
        prediction["samples"] = list(paths_KQ)
    if "mean" in wanted.output_types:
        prediction["mean"] = paths_KQ.mean(axis=0, dtype=np.float64)
    return prediction


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
