"""A trained DeepAR model: artifact in, forecasts out. Knows no job."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sm_dl.algorithms.deepar import codec
from sm_dl.algorithms.deepar.codec import Configuration, Forecast, ForecastRequest
from sm_dl.algorithms.deepar.cost import Costs
from sm_dl.algorithms.deepar.draws import Draw, paths_at_once
from sm_dl.algorithms.deepar.network import DeepARNetwork
from sm_dl.algorithms.deepar.sampling import sample_draws
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.series import Series
from sm_dl.algorithms.deepar.windows import WindowShape, panel_of
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
        self.costs = Costs.on(self.device.type, network.shape, context_length)

    def answer_type_for(self, request_type: str) -> str:
        """Return the request's own type."""
        return request_type

    def decode(self, body: bytes, media: MediaType) -> ForecastRequest:
        """Return what a body asks for; see `codec.decode` and `Costs.check`."""
        request = codec.decode(body, media, self.schema, self.default)
        self.costs.check(*self._size(request))
        return request

    def weight(self, request: ForecastRequest) -> int:
        """Return the paths that one request takes, or more: its share of what one may cost."""
        num_series, num_samples, num_steps = self._size(request)
        share = self.costs.of(num_series, num_samples, num_steps) / self.costs.budget
        return max(num_series * num_samples, int(share * self.max_weight))

    @property
    def max_weight(self) -> int:
        """Return the paths of one sweep: with more, a batch takes longer and nobody gains."""
        return paths_at_once(self.device)

    def _size(self, request: ForecastRequest) -> tuple[int, int, int]:
        """Return series, samples of each, and steps ahead."""
        wanted = request.configuration
        num_steps = wanted.prediction_length or self.schema.prediction_length
        return len(request.series), wanted.num_samples, num_steps

    def predict(self, requests: Sequence[ForecastRequest]) -> list[Forecast]:
        """Return one forecast for each request; those of one horizon are sampled together.

        A request with a seed gets what it would get alone, bit for bit on one machine.
        """
        horizons = [self._size(one)[2] for one in requests]
        forecasts: dict[int, Forecast] = {}
        for num_steps in set(horizons):
            chosen = {
                index: request
                for index, request in enumerate(requests)
                if horizons[index] == num_steps
            }
            try:
                sampled = self._sample_together(list(chosen.values()), num_steps)
            except UserError:  # each was accepted, but no one calendar spans them all
                sampled = [self._sample_together([one], num_steps)[0] for one in chosen.values()]
            forecasts |= dict(zip(chosen, sampled, strict=True))
        return [forecasts[index] for index in range(len(requests))]

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
        draw = Draw(len(series), num_samples, self._generator(seed))
        return self._sample(series, [draw], num_steps)[0]

    def _sample_together(
        self, requests: Sequence[ForecastRequest], num_steps: int
    ) -> list[Forecast]:
        shared = self._generator(None)
        draws = []
        for request in requests:
            wanted = request.configuration
            _warn_of_rough_tails(wanted)
            generator = shared if wanted.seed is None else self._generator(wanted.seed)
            draws.append(Draw(len(request.series), wanted.num_samples, generator))
        series = [one for request in requests for one in request.series]
        paths = self._sample(series, draws, num_steps)
        return [
            Forecast(some, request.configuration)
            for some, request in zip(paths, requests, strict=True)
        ]

    def _sample(
        self, series: Sequence[Series], draws: Sequence[Draw], num_steps: int
    ) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        panel = panel_of(series, self.schema, horizon=num_steps).to(self.device)
        windows = panel.cut(
            torch.arange(len(panel)),
            panel.length_N - num_steps,
            WindowShape(self.schema.lags[-1], self.context_length, num_steps),
        )
        paths = sample_draws(self.network, windows, self.context_length, draws)
        return [one.cpu().numpy() for one in paths]

    def _generator(self, seed: int | None) -> torch.Generator:
        generator = torch.Generator(self.device)
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        return generator


def _warn_of_rough_tails(wanted: Configuration) -> None:
    for level in wanted.quantiles if "quantiles" in wanted.output_types else ():
        if wanted.num_samples * min(float(level), 1 - float(level)) < ROUGH_TAIL:
            logger.warning(
                "quantile %s of %d samples is rough; ask for more num_samples.",
                level,
                wanted.num_samples,
            )
