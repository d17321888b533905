"""What happens at every step of every algorithm: the seed, the loss, the service's lines."""

import logging
import math
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.loader import address
from sm_dl.errors import AlgorithmError

logger = logging.getLogger(__name__)

State = dict[str, Any]
BATCHES_PER_LINE = 5
"""The service prints a running loss at every fifth batch."""


class AddressedRandomness(Callback):
    """Seeds torch before each step, so that a resumed run draws what the first one would have."""

    def __init__(self, seed: int) -> None:
        """Remember the seed of the job."""
        self.seed = seed

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        torch.manual_seed(address(self.seed, trainer.current_epoch, batch_idx, trainer.global_rank))


class EpochLoss(Callback):
    """Prints the service's training lines and keeps the loss of every epoch.

    `training_step` must return `{"loss": mean, "total": summed loss, "count": points, "records": n}`.
    """

    def __init__(self, log: MetricLog, num_epochs: int) -> None:
        """Remember where lines go and how many epochs make 100 %."""
        self.log_lines = log
        self.num_epochs = num_epochs
        self.losses: list[float] = []
        """Mean loss per point of each finished epoch."""
        self.total: Tensor = torch.zeros(())
        self.count: Tensor = torch.zeros(())
        self.records = 0
        self.started = time.perf_counter()

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.total = torch.zeros((), device=pl_module.device)
        self.count = torch.zeros((), device=pl_module.device)
        self.records = 0
        self.started = time.perf_counter()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.total = self.total + outputs["total"]
        self.count = self.count + outputs["count"]
        self.records += outputs["records"]
        if batch_idx % BATCHES_PER_LINE == 0 and self.count > 0:  # else nothing was observed yet
            loss = finite(self.total / self.count, trainer.current_epoch, batch_idx)
            self.log_lines.say(
                "train:loss:batch", loss, epoch=trainer.current_epoch, batch=batch_idx
            )

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch
        total, count = trainer.strategy.reduce(
            torch.stack([self.total, self.count]), reduce_op="sum"
        )
        # no observed point in any window: the epoch says nothing new
        unchanged = self.losses[-1] if self.losses else math.inf
        loss = finite(total / count, epoch) if count > 0 else unchanged
        self.losses.append(loss)
        records_per_second = self.records_per_second(trainer)
        self.log_lines.say("train:loss", loss, epoch=epoch)
        self.log_lines.say("train:progress", 100.0 * (epoch + 1) / self.num_epochs)
        self.log_lines.say("train:throughput", records_per_second)
        if trainer.logger is not None:
            metrics = {"train/loss": loss, "train/records_per_second": records_per_second}
            trainer.logger.log_metrics(metrics, step=epoch)

    @override
    def state_dict(self) -> State:
        return {"losses": list(self.losses)}

    @override
    def load_state_dict(self, state_dict: State) -> None:
        self.losses = list(state_dict["losses"])

    def records_per_second(self, trainer: Trainer) -> float:
        """Return the speed of the whole job in the current epoch."""
        seconds = time.perf_counter() - self.started
        return self.records * trainer.world_size / max(seconds, 1e-9)


def finite(value: Tensor, epoch: int, batch: int | None = None) -> float:
    """Return a loss as a number.

    Raises:
        AlgorithmError: It is none: the weights have diverged.
    """
    number = float(value)
    if math.isfinite(number):
        return number
    where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
    raise AlgorithmError(
        f"{where}: the loss is {number}; the weights of the last checkpoint are kept. "
        "Lower learning_rate, and check the data for extreme values."
    )
