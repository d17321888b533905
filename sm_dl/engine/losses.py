"""The loss of a step, of an epoch and of a run, and the service's lines about them."""

import logging
import math
import time
from typing import Any, TypedDict

import torch
from torch import Tensor

from sm_dl.contract.metrics import MetricLog
from sm_dl.errors import AlgorithmError

logger = logging.getLogger(__name__)

BATCHES_PER_LINE = 5
"""The service prints a running loss at every fifth batch."""


class StepLoss(TypedDict):
    """What a module's `training_step` and `validation_step` return for one rank's part of a batch."""

    total: Tensor
    """Summed loss, a scalar."""
    count: Tensor
    """What to divide by: the points, records or boxes the sum is over, a scalar."""
    records: int
    """Records of this part, for the speed and the place in the epoch."""


class EpochLoss:
    """Sums the losses of an epoch over all processes, and prints the service's training lines."""

    def __init__(self, log: MetricLog, num_epochs: int) -> None:
        """Remember where lines go and how many epochs make 100 %."""
        self.log_lines = log
        self.num_epochs = num_epochs
        self.losses: list[float] = []
        """Mean loss per point of each finished epoch."""
        self.sums = torch.zeros(3, dtype=torch.float64)
        """Of the epoch under way, over all processes: loss, points, records."""
        self.started = time.perf_counter()
        self.records_before = 0

    def start_epoch(self) -> None:
        """Start the clock, also of an epoch that is gone on with."""
        self.started = time.perf_counter()
        self.records_before = self.records

    def add(self, sums: Tensor, epoch: int, batch: int) -> None:
        """Add the sums of one step and print the running loss at every fifth batch."""
        self.sums = self.sums.to(sums.device) + sums
        if batch % BATCHES_PER_LINE == 0 and self.sums[1] > 0:  # else nothing was observed yet
            loss = finite(self.mean, epoch, batch)
            self.log_lines.say("train:loss:batch", loss, epoch=epoch, batch=batch)

    @property
    def mean(self) -> float:
        """Return the mean loss per point so far in the epoch, NaN before the first."""
        total, count, _ = self.sums.tolist()
        return total / count if count > 0 else math.nan

    @property
    def records(self) -> int:
        """Return how many records of the epoch all processes have seen."""
        return int(self.sums[2])

    @property
    def records_per_second(self) -> float:
        """Return the speed of the whole job in this epoch."""
        seconds = time.perf_counter() - self.started
        return (self.records - self.records_before) / max(seconds, 1e-9)

    def epoch_loss(self, epoch: int) -> float:
        """Return the loss of the epoch that ends; where nothing was observed, that of the last."""
        if self.sums[1] > 0:
            return finite(self.mean, epoch)
        return self.losses[-1] if self.losses else math.inf

    def end_epoch(self, loss: float, epoch: int) -> None:
        """Print the lines of an epoch and start the sums of the next."""
        self.losses.append(loss)
        self.log_lines.say("train:loss", loss, epoch=epoch)
        self.log_lines.say("train:progress", 100.0 * (epoch + 1) / self.num_epochs)
        self.log_lines.say("train:throughput", self.records_per_second)
        self.sums = torch.zeros_like(self.sums)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"losses": list(self.losses), "sums": self.sums.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.losses = list(state["losses"])
        self.sums = torch.tensor(state["sums"], dtype=torch.float64)


def finite(number: float, epoch: int, batch: int | None = None) -> float:
    """Return a loss that is a number.

    Raises:
        AlgorithmError: It is none: the weights have diverged.
    """
    if math.isfinite(number):
        return number
    where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
    raise AlgorithmError(
        f"{where}: the loss is {number}; the weights before this batch are kept. "
        "Lower learning_rate, and check the data for extreme values."
    )
