"""Which weights training leaves: the module's own or their average, of the last epoch or the best."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sm_dl.engine.stopping import Selection

logger = logging.getLogger(__name__)

State = dict[str, Any]

UPDATES_TO_WIDEN = 10
"""After so many updates an average leaves one out, after twice as many two, and so on up to its rule:
a short job is over by then."""


class OwnWeights:
    """The module's weights as the last update left them."""

    def __init__(self, module: nn.Module) -> None:
        """Remember the module."""
        self.module = module

    @property
    def current(self) -> dict[str, Tensor]:
        """Return the weights that would be left now."""
        return self.module.state_dict()

    def update(self) -> None:
        """Take one more step into account."""

    @contextmanager
    def in_place_of_own(self) -> Iterator[None]:
        """Let the module have `current` for a while."""
        yield

    def state_dict(self) -> State:
        """Return what a checkpoint keeps beside the module itself."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Go on from what a checkpoint kept."""


class AveragedWeights(OwnWeights):
    """Keeps an exponential moving average of the weights, which is what training leaves.

    Averaging about the last 1 / (1 - decay) steps takes the noise of the last ones out of the
    model (Polyak and Juditsky, 1992); the window grows with the run until it has that length.
    Counters and other integers of a module are copied.
    """

    def __init__(self, module: nn.Module, decay: float, every: int = 1) -> None:
        """Start at the module's weights.

        Args:
            module: Whose weights are averaged.
            decay: The share of the past in one update, e.g. 0.99.
            every: Up to so many updates go in as one: neighbours are alike, and a pass over all
                weights takes as long as a tenth of a small step.
        """
        super().__init__(module)
        self.decay, self.every = decay, every
        self.steps = 0
        self.average: dict[str, Tensor] = copied(module.state_dict())

    @property
    def current(self) -> dict[str, Tensor]:
        """Return the average."""
        return self.average

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after one more step into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        every = min(self.every, 1 + self.steps // UPDATES_TO_WIDEN)
        self.steps += 1
        if self.steps % every:
            return
        decay **= every
        own = self.module.state_dict()
        real = [name for name, tensor in self.average.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in real], [own[name] for name in real], 1 - decay
        )
        for name in self.average.keys() - set(real):
            self.average[name].copy_(own[name])

    @contextmanager
    def in_place_of_own(self) -> Iterator[None]:
        """Let the module have the average instead of its own weights for a while."""
        own = copied(self.module.state_dict())
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


class KeptWeights:
    """The weights that training leaves: those of the epoch that a selection prefers."""

    def __init__(self, weights: OwnWeights, selection: Selection, channel: str = "train") -> None:
        """Remember what an epoch's weights are, and who judges epochs by the figures of which channel."""
        self.weights = weights
        self.selection = selection
        self._rule = type(selection).__name__
        if selection.is_picking:
            self._rule += f" on {channel} {selection.watched}"
        self.epoch = -1
        self._picked: dict[str, Tensor] = {}

    def end_epoch(self, epoch: int, value: float) -> bool:
        """Return whether the weights of an epoch are the ones to keep, and keep them then."""
        is_kept = self.selection.judge(epoch, value)
        if is_kept:
            self.epoch = epoch
            if self.selection.is_picking:
                self._picked = copied(self.weights.current)
        return is_kept

    @property
    def has_picked(self) -> bool:
        """Return whether an epoch's weights are kept apart."""
        return bool(self._picked)

    def restore(self) -> None:
        """Give the module the weights that training leaves."""
        if self._picked:
            logger.info("Loading parameters from best epoch (%d)", self.epoch)
        self.weights.module.load_state_dict(self._picked or self.weights.current)

    def state_dict(self) -> State:
        """Return what a checkpoint keeps."""
        return {
            "epoch": self.epoch,
            "picked": self._picked,
            "rule": self._rule,
            "selection": self.selection.state_dict(),
        }

    def load_state_dict(self, state: State, last_epoch: int) -> None:
        """Go on from what a checkpoint kept; judge anew where it was judged by another rule.

        Args:
            state: The checkpoint's.
            last_epoch: The one before the checkpoint; -1 before the first.
        """
        if state.get("rule") != self._rule:
            logger.warning(
                "the epoch whose weights are kept was chosen by %s up to epoch %d, and is by %s from here "
                "on: earlier epochs are not compared.",
                state.get("rule"), last_epoch, self._rule,
            )  # fmt: skip
            self.epoch = last_epoch
            return
        self.epoch = state["epoch"]
        self.selection.load_state_dict(state["selection"])
        current = self.weights.current
        self._picked = {
            name: tensor.to(current[name].device) for name, tensor in state["picked"].items()
        }


def copied(state: State) -> dict[str, Tensor]:
    """Return a copy that later updates do not touch."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}
