"""What a DeepAR artifact holds: everything `predictor.py` needs, and nothing of the job."""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.network import DeepARNetwork, NetworkShape
from sm_dl.algorithms.deepar.predictor import DeepARPredictor
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_weights
from sm_dl.errors import UserError


def write_artifact(
    folder: Path, predictor: DeepARPredictor, hyperparameters: Mapping[str, object]
) -> None:
    """Write everything inference needs into a model directory."""
    shape, schema = predictor.network.shape, predictor.schema
    write_weights(folder, predictor.network)
    facts = {
        "hyperparameters": dict(hyperparameters),
        "time_freq": str(schema.frequency),
        "prediction_length": schema.prediction_length,
        "context_length": predictor.context_length,
        "likelihood": shape.likelihood,
        "num_layers": shape.num_layers,
        "num_cells": shape.num_cells,
        "dropout_rate": shape.zoneout_rate,
        "embedding_dimension": shape.embedding_dimension,
        "lags": list(shape.lags),
        "calendar_features": list(schema.frequency.feature_names),
        "cardinality": list(shape.cardinality),
        "num_dynamic_feat": shape.num_dynamic,
        "has_gaps": shape.has_gaps,
        "feature_means": list(schema.feature_means),
        "feature_deviations": list(schema.feature_deviations),
    }
    write_metadata(folder, Metadata("deepar", facts))


def _floats(values: object) -> tuple[float, ...]:
    if not isinstance(values, list):
        raise TypeError("expected a list of numbers")
    return tuple(float(value) for value in values)


def _check(shape: NetworkShape, schema: Schema, context_length: int) -> None:
    """Refuse facts that no training run writes.

    Raises:
        ValueError: One of them is out of its range.
    """
    counts = (
        shape.num_layers, shape.num_cells, shape.embedding_dimension, *shape.cardinality,
        schema.prediction_length, context_length, *shape.lags[:1],
    )  # fmt: skip
    is_rising = all(one < two for one, two in itertools.pairwise(shape.lags))
    if min(counts) < 1 or not shape.lags or not is_rising:
        raise ValueError("a size, a length or a lag is out of range")
    scale = (*schema.feature_means, *schema.feature_deviations)
    if len(scale) not in (0, 2 * shape.num_dynamic) or not all(map(math.isfinite, scale)):
        raise ValueError("feature_means or feature_deviations do not fit num_dynamic_feat")
    if not all(value > 0 for value in schema.feature_deviations):
        raise ValueError("feature_deviations hold a value that is not positive")
    if shape.num_dynamic < 0 or not 0 <= shape.zoneout_rate <= 1:
        raise ValueError("num_dynamic_feat or dropout_rate is out of range")


def load(folder: Path) -> DeepARPredictor:
    """Return the predictor of a model directory.

    Raises:
        UserError: The directory holds no whole DeepAR model.
    """
    facts: Mapping[str, Any] = read_metadata(folder).facts
    try:
        frequency = Frequency.parse(facts["time_freq"])
        shape = NetworkShape(
            num_layers=int(facts["num_layers"]),
            num_cells=int(facts["num_cells"]),
            zoneout_rate=float(facts["dropout_rate"]),
            likelihood=str(facts["likelihood"]),
            lags=tuple(int(lag) for lag in facts["lags"]),
            num_calendar=len(frequency.feature_names),
            cardinality=tuple(int(size) for size in facts["cardinality"]),
            embedding_dimension=int(facts["embedding_dimension"]),
            num_dynamic=int(facts["num_dynamic_feat"]),
            has_gaps=bool(facts["has_gaps"]),
        )
        schema = Schema(
            frequency=frequency,
            prediction_length=int(facts["prediction_length"]),
            likelihood=shape.likelihood,
            cardinality=shape.cardinality,
            num_dynamic=shape.num_dynamic,
            lags=shape.lags,
            has_gaps=shape.has_gaps,
            feature_means=_floats(facts["feature_means"]),
            feature_deviations=_floats(facts["feature_deviations"]),
        )
        context_length = int(facts["context_length"])
        _check(shape, schema, context_length)
        network = DeepARNetwork(shape)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{folder}: model.json does not describe a DeepAR model ({type(error).__name__}: {error})."
        ) from None
    read_weights(folder, network)
    return DeepARPredictor(network, schema, context_length)
