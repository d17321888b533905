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


class PatienceWindow:
    """The service's early stopping in NTM and Object2Vec, as its logs show it (ntm spec 1.6).

    From the epoch on that has `num_epochs` epochs before it, an epoch is bad when its loss is not
    lower by `tolerance` than the lowest of those: an absolute difference. A good one sets the count
    of bad epochs to zero; training ends when the count is greater than `num_epochs`. What is kept is
    the epoch of the lowest loss of all.

    Differs from the service's guide, which calls the tolerance relative.
    """

    is_picking = True

    def __init__(self, num_epochs: int, tolerance: float, watched: str = LOSS) -> None:
        """Say how many epochs, the difference, and the figure that is watched."""
        self.watched = watched
        self._num_epochs, self._tolerance = num_epochs, tolerance
        self._losses: list[float] = []
        self._num_bad = 0
        self._best_epoch, self._best_loss = -1, math.inf
        self.words: list[str] = []
        """The service's lines about the last epoch, for the narrator to print."""

    def judge(self, epoch: int, value: float) -> bool:
        """Return whether the loss is lower than ever."""
        self.words = []
        window = self._losses[-self._num_epochs :]
        if len(window) == self._num_epochs:
            self._compare(window, value)
        self._losses = [*window, value]
        is_best = value < self._best_loss or self._best_epoch < 0
        if is_best:
            self._best_epoch, self._best_loss = epoch, value
        return is_best

    def _compare(self, window: list[float], value: float) -> None:
        drop = min(window) - value
        self.words.append(
            f"patience losses:{window} min patience loss:{min(window)} current loss:{value} "
            f"absolute loss difference:{abs(drop)}"
        )
        if drop >= self._tolerance:
            self._num_bad = 0
            return
        self._num_bad += 1
        self.words.append(f"Bad epoch: loss has not improved (enough). Bad count:{self._num_bad}")
        if self._num_bad > self._num_epochs:
            self.words += [
                "Bad epochs exceeded patience. Stopping training early!",
                "Early stop condition met. Stopping training.",
            ]

    def is_over(self, last_epoch: int) -> bool:  # noqa: ARG002 - the count says it
        """Return whether there were too many bad epochs."""
        return self._num_bad > self._num_epochs

    def last_words(self) -> str:
        """Return the service's line about the model that is left; epochs count from 1 there."""
        return (
            f"Best model based on early stopping at epoch {self._best_epoch + 1}. "
            f"Best loss: {self._best_loss}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "losses": list(self._losses),
            "num_bad": self._num_bad,
            "epoch": self._best_epoch,
            "loss": self._best_loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self._losses, self._num_bad = list(state["losses"]), state["num_bad"]
        self._best_epoch, self._best_loss = state["epoch"], state["loss"]
