"""A trained DeepAR model: artifact in, forecasts out. Knows no job."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sm_dl.algorithms.deepar import codec
from sm_dl.algorithms.deepar.codec import Configuration, Forecast, ForecastRequest
from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.sampling import sample_paths
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series
from sm_dl.algorithms.deepar.windows import WindowShape, panel_of
from sm_dl.content_types import JSON, JSON_LINES, MediaType

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
        panel = panel_of(series, self.schema, horizon=num_steps).to(self.device)
        windows = panel.cut(
            torch.arange(len(panel)),
            panel.length_N - num_steps,
            WindowShape(self.schema.lags[-1], self.context_length, num_steps),
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
