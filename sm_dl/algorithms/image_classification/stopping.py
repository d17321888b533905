"""Which epoch's weights an image classifier keeps, and when it stops early (spec section 4)."""

import logging
from typing import Any

from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.narration import ACCURACY

logger = logging.getLogger(__name__)


class BestAccuracy:
    """Keeps the epoch of the best validation accuracy; of equal ones the first.

    Early stopping has a rule of its own: an epoch is an improvement if it beats the best of those
    so far by the tolerance, relative to that best; after `early_stopping_patience` epochs without
    one, and `early_stopping_min_epochs` at least, training is over. Epochs are counted from 1.
    """

    watched = ACCURACY
    is_picking = True

    def __init__(self, hyperparameters: ImageClassificationHyperparameters) -> None:
        """Take the rules from a job."""
        self._num_epochs = hyperparameters.epochs
        self._is_stopping = hyperparameters.early_stopping
        self._min_epochs = hyperparameters.early_stopping_min_epochs
        self._patience = hyperparameters.early_stopping_patience
        self._tolerance = hyperparameters.early_stopping_tolerance
        self._best = -1.0
        self._reference, self._improved_at = -1.0, 0
        """What early stopping compares with, and after how many epochs it was reached."""

    def judge(self, epoch: int, value: float) -> bool:
        """Return whether the weights of this epoch are the ones to keep so far."""
        done = epoch + 1
        if value > self._reference * (1 + self._tolerance) or self._reference < 0:
            self._reference, self._improved_at = value, done
        is_better = value > self._best
        if is_better:
            self._best = value
        if done < self._num_epochs and self.is_over(epoch):
            logger.info(
                "Early stopping after %d epochs: validation accuracy %f of epoch %d was not improved upon.",
                done, self._reference, self._improved_at - 1,
            )  # fmt: skip
        return is_better

    def is_over(self, last_epoch: int) -> bool:
        """Return whether early stopping ends training after this epoch."""
        done = last_epoch + 1
        return (
            self._is_stopping
            and done >= self._min_epochs
            and done - self._improved_at >= self._patience
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "best": self._best,
            "reference": self._reference,
            "improved_at": self._improved_at,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self._best = state["best"]
        self._reference, self._improved_at = state["reference"], state["improved_at"]
