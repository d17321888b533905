"""SIGTERM: stop at the next batch, so that what is done so far can be written down."""

import signal
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override


class TrainingStopped(BaseException):
    """Leaves Lightning's loops; no `except Exception` on the way may hold it up."""


class StopOnSigterm(Callback):
    """Ends training before the next batch once SIGTERM has come.

    Lightning's own answer is to end with exit code 0 and to write nothing. An epoch that is not
    finished is done again by the next run, from the checkpoint of the one before.
    """

    def __init__(self) -> None:
        """Start without a request."""
        self.is_requested = False

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # after Lightning has put its own handler there; at the end it restores the one before both
        signal.signal(signal.SIGTERM, self._request)

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.is_requested:
            raise TrainingStopped

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.is_requested = True
