"""A trained DeepAR model: artifact in, forecasts out. Knows no job."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sm_dl.algorithms.deepar import codec
from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.codec import Configuration, Forecast, ForecastRequest
from sm_dl.algorithms.deepar.network import DeepARNetwork, NetworkShape
from sm_dl.algorithms.deepar.sampling import sample_paths
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series
from sm_dl.algorithms.deepar.windows import SeriesPanel, WindowShape
from sm_dl.artifact.metadata import Metadata, read_metadata, write_metadata
from sm_dl.artifact.weights import read_weights, write_weights
from sm_dl.content_types import JSON, JSON_LINES, MediaType
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

ROUGH_TAIL = 5
"""Fewer expected samples beyond a quantile than this make it rough."""


class DeepARPredictor:
    """Forecasts series of the frequency, categories and features it was trained with."""

    request_types: tuple[str, ...] = (JSON, JSON_LINES)
    answer_types: tuple[str, ...] = (JSON, JSON_LINES)

    def __init__(
        self,
        network: DeepARNetwork,
        schema: Schema,
        context_length: int,
    ) -> None:
        """Wrap a trained network; it moves to the GPU when there is one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.eval().to(self.device)
        self.schema = schema
        self.context_length = context_length
        self.default = codec.batch_configuration()

    def answer_type_for(self, request_type: str) -> str:
        """Return the request's own type."""
        return request_type

    def decode(self, body: bytes, media: MediaType) -> ForecastRequest:
        """Return what a body asks for; see `codec.decode`."""
        return codec.decode(body, media, self.schema, self.default)

    def predict(self, requests: Sequence[ForecastRequest]) -> list[Forecast]:
        """Return one forecast for each request."""
        return [self._answer(request) for request in requests]

    def encode(self, answer: Forecast, media_type: str) -> bytes:
        """Return the response body; see `codec.encode`."""
        return codec.encode(answer, media_type)

    def forecast(
        self, series: Sequence[Series], *, num_samples: int, num_steps: int, seed: int | None = None
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return sample paths, shape (series, num_samples, num_steps), in the data's units.

        Args:
            series: Known history; features reach `num_steps` further.
            num_samples: Paths a series.
            num_steps: Steps ahead, at most the trained number.
            seed: The same seed gives the same paths.
        """
        generator = torch.Generator(self.device)
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        shape = self.network.shape
        panel = SeriesPanel(
            series,
            self.schema.frequency,
            num_cat=len(shape.cardinality),
            num_dynamic=shape.num_dynamic,
            horizon=num_steps,
        ).to(self.device)
        windows = panel.cut(
            torch.arange(len(panel)),
            panel.length_N - num_steps,
            WindowShape(shape.lags[-1], self.context_length, num_steps),
        )
        paths = sample_paths(self.network, windows, self.context_length, num_samples, generator)
        return paths.cpu().numpy()

    def _answer(self, request: ForecastRequest) -> Forecast:
        wanted = request.configuration
        _warn_of_rough_tails(wanted)
        paths = self.forecast(
            request.series,
            num_samples=wanted.num_samples,
            num_steps=wanted.prediction_length or self.schema.prediction_length,
            seed=wanted.seed,
        )
        return Forecast(paths, wanted)


def _warn_of_rough_tails(wanted: Configuration) -> None:
    for level in wanted.quantiles if "quantiles" in wanted.output_types else ():
        if wanted.num_samples * min(float(level), 1 - float(level)) < ROUGH_TAIL:
            logger.warning(
                "quantile %s of %d samples is rough; ask for more num_samples.",
                level,
                wanted.num_samples,
            )


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
    }
    write_metadata(folder, Metadata("deepar", facts))


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
