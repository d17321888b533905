"""Which weights training leaves: averages over steps, measured on held-out data, the best epoch's."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.callbacks import EpochLoss, State, finite
from sm_dl.engine.loader import Place, place_of

logger = logging.getLogger(__name__)


class AveragedWeights(Callback):
    """Keeps an exponential moving average of the weights, which is what training leaves.

    Averaging about the last 1 / (1 - decay) steps takes the noise of the last ones out of the
    model (Polyak and Juditsky, 1992); the window grows with the run until it has that length.
    Counters and other integers of a module are copied.
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
        real = [name for name, tensor in self.average.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self.average[name] for name in real], [current[name] for name in real], 1 - decay
        )
        for name in self.average.keys() - set(real):
            self.average[name].copy_(current[name])

    @contextmanager
    def in_place_of(self, module: LightningModule) -> Iterator[None]:
        """Let a module have the average instead of its own weights for a while."""
        own = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.average)
        try:
            yield
        finally:
            module.load_state_dict(own)

    @override
    def state_dict(self) -> State:
        return {"steps": self.steps, "average": self.average}

    @override
    def load_state_dict(self, state_dict: State) -> None:
        self.steps, self.average = state_dict["steps"], state_dict["average"]


class ValidationLoss(Callback):
    """Measures the averaged weights on a validation channel after each epoch.

    The module must have `loss_sums(batch) -> (summed loss, points)`.
    """

    def __init__(
        self,
        batches_of: Callable[[Place], Iterator[Any]],
        weights: AveragedWeights,
        log: MetricLog,
    ) -> None:
        """Remember the batches, the weights, which must stand before this, and where lines go."""
        self.batches_of = batches_of
        self.weights = weights
        self.log_lines = log
        self.losses: list[float] = []
        """Mean loss per point of each finished epoch."""

    @override
    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Any = pl_module
        sums = torch.zeros(2, device=pl_module.device)
        module.eval()
        with self.weights.in_place_of(module):
            for batch in self.batches_of(place_of(trainer)):
                sums += torch.stack(module.loss_sums(batch))
        module.train()
        total, count = trainer.strategy.reduce(sums, reduce_op="sum")
        self.losses.append(finite(total / count.clamp_min(1.0), trainer.current_epoch))
        self.log_lines.say("validation:loss", self.losses[-1], epoch=trainer.current_epoch)
        if trainer.logger is not None:
            metrics = {"validation/loss": self.losses[-1]}
            trainer.logger.log_metrics(metrics, step=trainer.current_epoch)

    @override
    def state_dict(self) -> State:
        return {"losses": list(self.losses)}

    @override
    def load_state_dict(self, state_dict: State) -> None:
        self.losses = list(state_dict["losses"])


class BestEpoch(Callback):
    """Picks the weights that training leaves: the last epoch's, or with patience the best one's."""

    def __init__(
        self, losses: EpochLoss | ValidationLoss, weights: AveragedWeights, patience: int | None
    ) -> None:
        """Remember where losses and weights come from.

        Args:
            losses: What early stopping watches; must stand before this callback, as `weights`.
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
