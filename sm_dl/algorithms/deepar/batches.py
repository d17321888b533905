"""Batches of windows: those an epoch draws, and the last ones of a validation channel.

Batches are addressed by (seed, epoch, position): each rank cuts its own share of the same batch.
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch

from sm_dl.algorithms.deepar.epochs import EpochRule, Indices, draw_epoch
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.schema import Schema
from sm_dl.algorithms.deepar.windows import SeriesPanel, Windows, WindowShape
from sm_dl.engine.place import Place

logger = logging.getLogger(__name__)


class _Cutter:
    """Cuts given windows batch by batch."""

    def __init__(
        self, panel: SeriesPanel, schema: Schema, hyperparameters: DeepARHyperparameters
    ) -> None:
        self.panel = panel
        self.batch_size = hyperparameters.mini_batch_size
        self.shape = WindowShape(
            schema.lags[-1], hyperparameters.context_length, hyperparameters.prediction_length
        )

    def _cut(self, series: Indices, starts: Indices, place: Place) -> Iterator[Windows]:
        """Yield this rank's part of each batch, on the rank's device."""
        self.panel.to(place.device)
        for first in range(place.first_record, len(series), self.batch_size):
            mine = slice(first + place.rank, first + self.batch_size, place.world_size)
            if len(series[mine]):
                yield self._windows(series[mine], starts[mine])
            else:  # fewer windows than ranks: all take part in the step, some with nothing to say
                windows = self._windows(series[first : first + 1], starts[first : first + 1])
                yield windows._replace(observed_SB=torch.zeros_like(windows.observed_SB))

    def _windows(self, series: Indices, starts: Indices) -> Windows:
        return self.panel.cut(torch.from_numpy(series), torch.from_numpy(starts), self.shape)


class EpochBatches(_Cutter):
    """The windows an epoch draws at random (see `epochs.py`)."""

    def __init__(
        self, panel: SeriesPanel, schema: Schema, hyperparameters: DeepARHyperparameters
    ) -> None:
        """Remember the series and how windows are drawn from them."""
        super().__init__(panel, schema, hyperparameters)
        self.seed = hyperparameters.seed
        self.rule = EpochRule.of(len(panel), self.batch_size)
        self.num_starts = panel.lengths - hyperparameters.prediction_length + 1
        line = self.rule.log_line()
        if line is not None:
            logger.info("%s", line)

    def __call__(self, place: Place) -> Iterator[Windows]:
        """Yield this rank's part of each batch of an epoch."""
        series, starts = draw_epoch(self.num_starts, self.rule, seed=self.seed, epoch=place.epoch)
        return self._cut(series, starts, place)


class LastWindows(_Cutter):
    """The window of each series whose forecast is its last `prediction_length` points."""

    def __call__(self, place: Place) -> Iterator[Windows]:
        """Yield this rank's part of each batch, the same in every epoch."""
        starts = self.panel.lengths - self.shape.prediction
        return self._cut(np.arange(len(starts)), starts, place)
