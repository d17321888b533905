"""Which weights training leaves: averages over steps, and the best epoch's of them."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

State = dict[str, Any]


class AveragedWeights:
    """Keeps an exponential moving average of the weights, which is what training leaves.

    Averaging about the last 1 / (1 - decay) steps takes the noise of the last ones out of the
    model (Polyak and Juditsky, 1992); the window grows with the run until it has that length.
    Counters and other integers of a module are copied.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start at the module's weights; `decay` is the share of the past, e.g. 0.99."""
        self.module = module
        self.decay = decay
        self.steps = 0
        self.average: dict[str, Tensor] = _copy(module.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after one more step into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        current = self.module.state_dict()
        real = [name for name, tensor in self.average.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in real], [current[name] for name in real], 1 - decay
        )
        for name in self.average.keys() - set(real):
            self.average[name].copy_(current[name])

    @contextmanager
    def in_place_of_own(self) -> Iterator[None]:
        """Let the module have the average instead of its own weights for a while."""
        own = _copy(self.module.state_dict())
        self.module.load_state_dict(self.average)
        try:
            yield
        finally:
            self.module.load_state_dict(own)

    def state_dict(self) -> State:
        """Return what a checkpoint keeps."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: State) -> None:
        """Go on from what a checkpoint kept."""
        self.steps = state["steps"]
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)


class BestEpoch:
    """Picks the weights that training leaves: the last ones, or with patience the best epoch's."""

    def __init__(self, weights: AveragedWeights, patience: int | None) -> None:
        """Remember what an epoch's weights are, and after how many epochs without a lower loss to stop.

        Args:
            weights: Their average is what is kept.
            patience: None: never stop early, and keep the last epoch's.
        """
        self.weights = weights
        self.patience = patience
        self.epoch = -1
        self.loss = math.inf
        self.best: dict[str, Tensor] = {}
        if patience is not None:
            logger.info("Using early stopping with patience %d", patience)

    def end_epoch(self, epoch: int, loss: float) -> None:
        """Keep the weights of an epoch when they are the ones to keep."""
        if self.patience is None:
            self.epoch, self.loss = epoch, loss
        elif loss < self.loss or not self.best:
            self.epoch, self.loss, self.best = epoch, loss, _copy(self.weights.average)
            logger.info("best epoch loss so far")
        else:
            logger.info("loss did not improve")

    def is_over(self, last_epoch: int) -> bool:
        """Return whether patience has run out after an epoch."""
        return (
            self.patience is not None
            and self.epoch >= 0
            and last_epoch - self.epoch >= self.patience
        )

    def restore(self) -> None:
        """Give the module the weights that training leaves."""
        if self.best:
            logger.info("Loading parameters from best epoch (%d)", self.epoch)
        self.weights.module.load_state_dict(self.best or self.weights.average)

    def state_dict(self) -> State:
        """Return what a checkpoint keeps."""
        return {"epoch": self.epoch, "loss": self.loss, "best": self.best}

    def load_state_dict(self, state: State) -> None:
        """Go on from what a checkpoint kept."""
        self.epoch, self.loss = state["epoch"], state["loss"]
        self.best = {
            name: tensor.to(self.weights.average[name].device)
            for name, tensor in state["best"].items()
        }


def _copy(state: State) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}
