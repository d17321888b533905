"""When training ends before its last epoch, and which epoch's weights it leaves."""

import logging
import math
from typing import Any, Protocol

from sm_dl.engine.losses import LOSS

logger = logging.getLogger(__name__)


class Selection(Protocol):
    """Judges epoch after epoch by one figure: the validation channel's where there is one."""

    watched: str
    """The figure, e.g. `loss`."""
    is_picking: bool
    """Whether an epoch may be preferred to the last; its weights are then kept apart."""

    def judge(self, epoch: int, value: float) -> bool:
        """Return whether the weights of this epoch are the ones to keep so far."""
        ...

    def is_over(self, last_epoch: int) -> bool:
        """Return whether training ends after this epoch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        ...


class KeepLast:
    """Trains all epochs and keeps the last."""

    watched = LOSS
    is_picking = False

    def judge(self, epoch: int, value: float) -> bool:  # noqa: ARG002 - the last is the one
        """Keep it."""
        return True

    def is_over(self, last_epoch: int) -> bool:  # noqa: ARG002 - never before its time
        """Go on."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: nothing is remembered."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing."""


class Patience:
    """Keeps the epoch of the lowest loss, and stops after so many epochs in a row without a lower one."""

    watched = LOSS
    is_picking = True

    def __init__(self, patience: int) -> None:
        """Say how many epochs."""
        self._patience = patience
        self._epoch, self._loss = -1, math.inf
        logger.info("Using early stopping with patience %d", patience)

    def judge(self, epoch: int, value: float) -> bool:
        """Return whether the loss is lower than ever."""
        is_better = value < self._loss or self._epoch < 0
        if is_better:
            self._epoch, self._loss = epoch, value
        logger.info("best epoch loss so far" if is_better else "loss did not improve")
        return is_better

    def is_over(self, last_epoch: int) -> bool:
        """Return whether patience has run out."""
        return self._epoch >= 0 and last_epoch - self._epoch >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"epoch": self._epoch, "loss": self._loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self._epoch, self._loss = state["epoch"], state["loss"]
