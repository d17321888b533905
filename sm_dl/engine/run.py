"""The training loop: batches, updates, epochs, on Lightning Fabric.

Between two batches stands a *boundary*: there a run can be saved, stopped, and gone on with, bit for
bit. What happens in an epoch follows from (seed, epoch, position) alone; the rest of a run's state is
in `Run.state_dict`.
"""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.pytorch import LightningModule
from torch import Tensor

from sm_dl import faults
from sm_dl.engine.checkpoint import Checkpoints
from sm_dl.engine.losses import EpochLoss, StepLoss, finite
from sm_dl.engine.place import Place, address
from sm_dl.engine.progress import Progress
from sm_dl.engine.ranks import Ranks
from sm_dl.engine.weights import AveragedWeights, BestEpoch
from sm_dl.job import stop

logger = logging.getLogger(__name__)

BatchesOf = Callable[[Place], Iterator[Any]]

AVERAGE_DECAY = 0.99
"""Weights are averaged over about the last hundred updates: ten epochs of a small data set."""


class TrainingStopped(Exception):  # noqa: N818 - no error: SIGTERM came
    """Leaves the loops at a boundary."""


class Run:
    """One module being trained: where it is, and everything that changes on the way."""

    def __init__(
        self,
        module: LightningModule,
        batches_of: BatchesOf,
        *,
        fabric: Fabric,
        seed: int,
        losses: EpochLoss,
        patience: int | None,
        validation_batches_of: BatchesOf | None,
    ) -> None:
        """Lay the module out over the devices; see `fit` for the arguments."""
        (self.optimizer,), (self.scheduler,) = optimizers_of(module)
        self.module: Any = module
        self.fabric = fabric
        self.ranks = Ranks(fabric)
        self.trained, self._updating = fabric.setup(module, self.optimizer)
        self._batches_of = batches_of
        self._validation_batches_of = validation_batches_of
        self._seed = seed
        self.losses = losses
        self.validation_losses: list[float] = []
        self.weights = AveragedWeights(module, AVERAGE_DECAY)
        self.best = BestEpoch(self.weights, patience)
        self.epoch = self.batch = self.step = 0
        self.saved_at: tuple[int, int] | None = None

    def train(self, num_epochs: int, checkpoints: Checkpoints, progress: Progress) -> None:
        """Train until so many epochs are done or patience has run out.

        Raises:
            TrainingStopped: SIGTERM came; all processes are at the same boundary.
            AlgorithmError: The loss or the gradient is no number; the weights before are kept.
        """
        while self.epoch < num_epochs and not self.best.is_over(self.epoch - 1):
            self._train_epoch(checkpoints, progress)
        self.save(checkpoints)

    def _train_epoch(self, checkpoints: Checkpoints, progress: Progress) -> None:
        self.losses.start_epoch()
        self.module.train()
        for batch in self._batches_of(self._place(self.losses.records)):
            self._train_batch(batch)
            progress.show(self.epoch, self.losses)
            self._boundary(checkpoints)
        loss = self.losses.epoch_loss(self.epoch)
        watched = loss
        if self._validation_batches_of is not None:
            watched = self._validate(self._validation_batches_of)
            self.validation_losses.append(watched)
        self._log_curves(loss)
        self.losses.end_epoch(loss, self.epoch)
        if self._validation_batches_of is not None:
            self.losses.log_lines.say("validation:loss", watched, epoch=self.epoch)
        self.best.end_epoch(self.epoch, watched)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            self.scheduler.step()  # also after an epoch without any update
        self.epoch, self.batch = self.epoch + 1, 0

    def _train_batch(self, batch: Any) -> None:  # noqa: ANN401 - an algorithm's own type
        torch.manual_seed(address(self._seed, self.epoch, self.batch, self.fabric.global_rank))
        loss: StepLoss = self.trained.training_step(batch, self.batch)
        if faults.reach("step"):
            loss["total"] = loss["total"] * math.nan
        sums = self.ranks.sum(
            torch.stack(
                [
                    loss["total"].detach().double(),
                    loss["count"].detach().double(),
                    loss["count"].new_tensor(loss["records"]).double(),
                ]
            )
        )
        self._updating.zero_grad()
        # gradients are averaged over ranks: each counts with its share of the terms of all
        mean = loss["total"] * (self.ranks.world_size / sums[1].clamp_min(1.0)).to(
            loss["total"].dtype
        )
        self.fabric.backward(mean)
        if sums[1] > 0:  # else no rank observed anything, and there is nothing to learn
            self._update(sums)
        self.losses.add(sums, self.epoch, self.batch)
        self.batch += 1
        self.step += 1

    def _update(self, sums: Tensor) -> None:
        """Make one optimizer step, unless loss or gradient is no number: then nothing changes."""
        finite(float(sums[0]), self.epoch, self.batch)
        norm = self.fabric.clip_gradients(
            self.trained,
            self._updating,
            max_norm=getattr(self.module, "gradient_norm", math.inf),
            error_if_nonfinite=False,
        )
        if norm is not None and not self._has_scaler:  # a scaler expects some and skips them
            finite(float(norm), self.epoch, self.batch)
        self._updating.step()
        self.weights.update()

    @torch.no_grad()
    def _validate(self, batches_of: BatchesOf) -> float:
        """Return the mean loss of the averaged weights on the validation channel."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.fabric.device)
        self.module.eval()
        with self.weights.in_place_of_own():
            for index, batch in enumerate(batches_of(self._place(0))):
                faults.reach("validate")
                loss: StepLoss = self.trained.validation_step(batch, index)
                sums += torch.stack([loss["total"].double(), loss["count"].double()])
                self._stop_if_asked()
        total, count = self.ranks.sum(sums).tolist()
        return finite(total / max(count, 1.0), self.epoch)

    def _boundary(self, checkpoints: Checkpoints) -> None:
        self.ranks.rearm()
        if self.ranks.is_main and checkpoints.is_due():
            self.save(checkpoints)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.ranks.agree_to_stop(is_asked=stop.num_requests() > 0):
            raise TrainingStopped

    def save(self, checkpoints: Checkpoints) -> None:
        """Save this boundary, from the main process, unless it is saved already."""
        here = (self.epoch, self.batch)
        if self.ranks.is_main and here != self.saved_at:
            checkpoints.save(self.state_dict(), self.step)
            self.saved_at = here

    def _place(self, first_record: int) -> Place:
        return Place(
            self.epoch,
            first_record,
            self.fabric.global_rank,
            self.ranks.world_size,
            self.fabric.device,
        )

    def _log_curves(self, loss: float) -> None:
        curves = {
            "train/loss": loss,
            "train/records_per_second": self.losses.records_per_second,
        }
        if self.validation_losses:
            curves["validation/loss"] = self.validation_losses[-1]
        self.fabric.log_dict(curves, step=self.epoch)

    @property
    def _has_scaler(self) -> bool:
        return getattr(self.fabric.strategy.precision, "scaler", None) is not None

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to go on from this boundary."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "losses": self.losses.state_dict(),
            "validation_losses": list(self.validation_losses),
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "weights": self.weights.state_dict(),
            "best": self.best.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a boundary that `state_dict` described."""
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self.saved_at = (self.epoch, self.batch)
        self.losses.load_state_dict(state["losses"])
        self.validation_losses = list(state["validation_losses"])
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.weights.load_state_dict(state["weights"])
        self.best.load_state_dict(state["best"])


def optimizers_of(module: LightningModule) -> tuple[list[Any], list[Any]]:
    """Return a module's one optimizer and one schedule by epoch; without one the rate is constant."""
    configured: Any = module.configure_optimizers()
    if isinstance(configured, torch.optim.Optimizer):
        optimizers, schedulers = [configured], []
    else:
        optimizers, schedulers = configured
    if not schedulers:
        schedulers = [torch.optim.lr_scheduler.LambdaLR(optimizers[0], lambda _epoch: 1.0)]
    return optimizers, schedulers
