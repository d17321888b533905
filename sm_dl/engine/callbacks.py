"""What happens around every algorithm's training loop: losses, averages, early stopping, seeds."""

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
            loss = _finite(self.total / self.count, trainer.current_epoch, batch_idx)
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
        loss = _finite(total / count, epoch) if count > 0 else unchanged
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


class AveragedWeights(Callback):
    """Keeps an exponential moving average of the weights, which is what training leaves.

    Averaging the last few hundred steps takes the noise of the last ones out of the model
    (Polyak and Juditsky, 1992); the window grows with the run until it has that length.
    """

    def __init__(self, decay: float) -> None:
        """Remember the weight of the past at each step, e.g. 0.99."""
        self.decay = decay
        self.steps = 0
        self.average: dict[str, Tensor] = {}

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        current = pl_module.state_dict()
        kept = self.average or current
        self.average = {
            name: kept[name].detach().to(tensor.device, copy=True)
            for name, tensor in current.items()
        }

    @override
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        current = pl_module.state_dict()
        torch._foreach_lerp_(
            list(self.average.values()), [current[name] for name in self.average], 1 - decay
        )

    @override
    def state_dict(self) -> State:
        return {"steps": self.steps, "average": self.average}

    @override
    def load_state_dict(self, state_dict: State) -> None:
        self.steps, self.average = state_dict["steps"], state_dict["average"]


class BestEpoch(Callback):
    """Picks the weights that training leaves: the last epoch's, or with patience the best one's."""

    def __init__(self, losses: EpochLoss, weights: AveragedWeights, patience: int | None) -> None:
        """Remember where losses and weights come from.

        Args:
            losses: Must stand before this callback, as must `weights`.
            weights: What an epoch's weights are.
            patience: Stop after so many epochs in a row without a lower loss; None: never.
        """
        self.losses = losses
        self.weights = weights
        self.patience = patience
        self.epoch = -1
        self.loss = math.inf
        self.best: dict[str, Tensor] = {}

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.patience is not None:
            logger.info("Using early stopping with patience %d", self.patience)
            trainer.should_stop = self._is_over(len(self.losses.losses) - 1)  # ended before

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, loss = trainer.current_epoch, self.losses.losses[-1]
        if self.patience is None or loss < self.loss or not self.best:
            self.epoch, self.loss = epoch, loss
            self.best = {
                name: tensor.detach().clone() for name, tensor in self.weights.average.items()
            }
            if self.patience is not None:
                logger.info("best epoch loss so far")
        else:
            logger.info("loss did not improve")
        trainer.should_stop = trainer.should_stop or self._is_over(epoch)

    def restore(self, module: LightningModule) -> None:
        """Give a module the weights of the kept epoch, also when a finished run is run again."""
        if self.patience is not None:
            logger.info("Loading parameters from best epoch (%d)", self.epoch)
        module.load_state_dict(self.best)

    @override
    def state_dict(self) -> State:
        return {"epoch": self.epoch, "loss": self.loss, "best": self.best}

    @override
    def load_state_dict(self, state_dict: State) -> None:
        self.epoch, self.loss, self.best = (state_dict[key] for key in ("epoch", "loss", "best"))

    def _is_over(self, epoch: int) -> bool:
        return self.patience is not None and self.epoch >= 0 and epoch - self.epoch >= self.patience


def _finite(value: Tensor, epoch: int, batch: int | None = None) -> float:
    number = float(value)
    if math.isfinite(number):
        return number
    where = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
    raise AlgorithmError(
        f"{where}: the training loss is {number}; the weights of the last checkpoint are kept. "
        "Lower learning_rate, and check the data for extreme values."
    )
