"""The training loop: batches, updates, epochs, on Lightning Fabric.

Between two batches stands a *boundary*: there a run can be saved, stopped, and gone on with, bit for
bit. What happens in an epoch follows from (seed, epoch, position) alone; the rest of a run's state is
in `Run.state_dict`.
"""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.pytorch import LightningModule
from torch import Tensor

from sm_dl import faults
from sm_dl.artifact.weights import not_finite
from sm_dl.engine.checkpoint import Checkpoints
from sm_dl.engine.losses import LOSS, History, Running, StepLoss, Sums, finite, sums_of
from sm_dl.engine.narration import EpochSummary, Narrator
from sm_dl.engine.place import Place, address_of_batch, seed_torch
from sm_dl.engine.progress import Progress
from sm_dl.engine.ranks import Ranks
from sm_dl.engine.stopping import Selection
from sm_dl.engine.updates import go_on, optimizer_of, size_of_gradients
from sm_dl.engine.weights import AveragedWeights, KeptWeights, OwnWeights
from sm_dl.errors import UserError
from sm_dl.job import stop

logger = logging.getLogger(__name__)

BatchesOf = Callable[[Place], Iterator[Any]]


class TrainingStopped(Exception):  # noqa: N818 - no error: SIGTERM came
    """Leaves the loops at a boundary."""


class Run:
    """One module being trained: where it is, and everything that changes on the way."""

    def __init__(  # noqa: PLR0913 - the parts of a run
        self,
        module: LightningModule,
        batches_of: BatchesOf,
        *,
        fabric: Fabric,
        seed: int,
        narrator: Narrator,
        selection: Selection,
        average_decay: float | None,
        average_every: int,
        validation_batches_of: BatchesOf | None,
    ) -> None:
        """Lay the module out over the devices; see `fit` for the arguments."""
        self.optimizer, self.scheduler, self._is_scheduled_by_update = optimizer_of(module)
        self.module: Any = module
        self.fabric = fabric
        self.ranks = Ranks(fabric)
        self._has_scaler = getattr(fabric.strategy.precision, "scaler", None) is not None
        self.trained, self._updating = fabric.setup(module, self.optimizer)
        # what Fabric looks for anew each time, at the cost of 2 % of a small step
        self._training_step = self.trained.training_step
        self._make_step = self._updating.step if self._has_scaler else self.optimizer.step
        module.on_fit_start()
        self._batches_of = batches_of
        self._validation_batches_of = validation_batches_of
        self._seed = seed
        self._narrator = narrator
        self.running = Running()
        self.history = History()
        self.weights = OwnWeights(module)
        if average_decay is not None:
            self.weights = AveragedWeights(module, average_decay, average_every)
        channel = "train" if validation_batches_of is None else "validation"
        self.kept = KeptWeights(self.weights, selection, channel)
        self.epoch = self.batch = self.step = 0
        self.saved_at: tuple[int, int] | None = None

    def train(self, num_epochs: int, checkpoints: Checkpoints, progress: Progress) -> None:
        """Train until so many epochs are done or patience has run out.

        Raises:
            TrainingStopped: SIGTERM came; all processes are at the same boundary.
            DivergedError: The loss or the gradient is no number; no update was made of it.
        """
        while self.epoch < num_epochs and not self.kept.selection.is_over(self.epoch - 1):
            self._train_epoch(num_epochs, checkpoints, progress)
        self.save(checkpoints)

    def _train_epoch(self, num_epochs: int, checkpoints: Checkpoints, progress: Progress) -> None:
        self.running.start_clock()
        self.module.train()
        for batch in self._batches_of(self._place(self.running.records)):
            self._train_batch(batch)
            progress.show(self.epoch, self.running)
            self._boundary(checkpoints)
        seconds, speed = self.running.seconds, self.running.records_per_second
        train = self._epoch_means()
        validation: dict[str, float] = {}
        if self._validation_batches_of is not None:
            validation = self._validate(self._validation_batches_of)
        watched = (validation or train)[self.kept.selection.watched]
        is_kept = self.kept.end_epoch(self.epoch, watched)
        self._log_curves(train, validation, speed)
        self.history.add(train, validation)
        if self.ranks.is_main:
            self._narrator.epoch_ends(
                EpochSummary(
                    self.epoch, num_epochs, self.batch, self.running.records,
                    seconds, speed, train, validation, is_kept,
                    self.epoch + 1 < num_epochs and self.kept.selection.is_over(self.epoch),
                )
            )  # fmt: skip
        if not self._is_scheduled_by_update:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                self.scheduler.step()  # also after an epoch without any update
        self.epoch, self.batch, self.running = self.epoch + 1, 0, Running()

    def _epoch_means(self) -> dict[str, float]:
        """Return the figures of the epoch that ends; where nothing was observed, a loss to go by.

        Raises:
            UserError: Nothing was observed, and the module cannot do without.
        """
        means = self.running.means()
        if not self.running.has_observed:
            if getattr(self.module, "needs_observations", False):
                raise UserError(
                    f"channel train: expected records to learn from; none of the {self.running.records} of "
                    f"epoch {self.epoch} could be used. The log says why they were left out: correct them."
                )
            means[LOSS] = self.history.losses[-1] if self.history.losses else math.inf
        return means

    def _train_batch(self, batch: Any) -> None:  # noqa: ANN401 - an algorithm's own type
        seed_torch(
            address_of_batch(self._seed, self.epoch, self.batch, self.fabric.global_rank),
            self.fabric.device,
        )
        loss = self._step(self._training_step, batch, self.batch)
        if faults.reach("step"):
            loss["total"] = loss["total"] * math.nan
        sums = self.ranks.sum(sums_of(loss))
        self._updating.zero_grad()
        self.fabric.backward(self._objective(loss["total"], sums))
        total, count, *others = sums.tolist()
        if count > 0:  # else no rank observed anything, and there is nothing to learn
            self._update(total)
        self.running.add((total, count, *others), tuple(loss.get("figures", ())))
        if self.ranks.is_main:
            self._narrator.batch_ends(self.epoch, self.batch, self.running)
        self.batch += 1
        self.step += 1

    def _step(self, step: Callable[[Any, int], StepLoss], batch: Any, index: int) -> StepLoss:  # noqa: ANN401
        """Return what a step of the module returns, computed in the plan's precision.

        Fabric sees to that for `forward` alone, and for a step only where several processes train.
        """
        with self.fabric.autocast():
            return step(batch, index)

    def _objective(self, total: Tensor, sums: Tensor) -> Tensor:
        """Return what gradients are taken of. Ranks average theirs: each counts with its own terms."""
        if getattr(self.module, "objective", "mean") == "sum":
            return total * self.ranks.world_size if self.ranks.world_size > 1 else total
        return total * (self.ranks.world_size / sums[1].clamp_min(1.0)).to(total.dtype)

    def _update(self, total: float) -> None:
        """Make one optimizer step, unless loss or gradient is no number: then nothing changes."""
        finite(total, self.epoch, self.batch)
        norm: Tensor | float | None
        longest = getattr(self.module, "gradient_norm", math.inf)
        if longest < math.inf:
            norm = self.fabric.clip_gradients(
                self.trained, self._updating, max_norm=longest, error_if_nonfinite=False
            )
        else:
            norm = size_of_gradients(
                one for group in self.optimizer.param_groups for one in group["params"]
            )
        if norm is not None and not self._has_scaler:  # a scaler expects some and skips them
            finite(float(norm), self.epoch, self.batch, what="gradient")
        self._make_step()
        if self._is_scheduled_by_update:
            self.scheduler.step()
        if faults.reach("update"):
            for weight in self.module.parameters():
                weight.detach().fill_(math.nan)
        self.weights.update()

    @torch.no_grad()
    def _validate(self, batches_of: BatchesOf) -> dict[str, float]:
        """Return the figures of the weights that would be left, on the validation channel.

        Raises:
            UserError: The channel gave nothing to go by.
            DivergedError: The loss is no number.
        """
        seen = Sums()
        names: tuple[str, ...] = ()
        sums: Tensor | None = None
        self.module.eval()
        with self.weights.in_place_of_own():
            self.module.on_validation_epoch_start()
            for index, batch in enumerate(batches_of(self._place(0))):
                faults.reach("validate")
                loss = self._step(self.trained.validation_step, batch, index)
                names = tuple(loss.get("figures", ()))
                sums = sums_of(loss) if sums is None else sums + sums_of(loss)
                self._stop_if_asked()
            figures: dict[str, float] = getattr(self.module, "validation_figures", dict)()
        if sums is not None:
            seen.add(self.ranks.sum(sums).tolist(), names)
        means = seen.means()
        if not seen.has_observed:
            raise UserError(
                "channel validation: expected records to judge an epoch by; none could be used. The log "
                "says why they were left out: correct them, or leave the channel out."
            )
        finite(means[LOSS], self.epoch)
        return {**means, **figures}

    def _boundary(self, checkpoints: Checkpoints) -> None:
        self.ranks.rearm()
        if self.ranks.is_main and checkpoints.is_due():
            self.save(checkpoints)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self.ranks.agree_to_stop(is_asked=stop.num_requests() > 0):
            raise TrainingStopped

    def save(self, checkpoints: Checkpoints) -> None:
        """Save this boundary, from the main process, unless it is saved already.

        Weights that are no numbers are not saved: nothing could go on from them.
        """
        here = (self.epoch, self.batch)
        if not self.ranks.is_main or here == self.saved_at:
            return
        lost = not_finite(self.module.state_dict())
        if lost is None:
            checkpoints.save(self.state_dict(), self.step)
            self.saved_at = here
        else:
            logger.error(
                "epoch %d, batch %d: no checkpoint is saved: the last update left %s with a value that "
                "is not finite.",
                *here, lost,
            )  # fmt: skip
            checkpoints.put_off()

    def _place(self, first_record: int) -> Place:
        rank, size = self.fabric.global_rank, self.ranks.world_size
        return Place(self.epoch, first_record, rank, size, self.fabric.device)

    def _log_curves(
        self, train: Mapping[str, float], validation: Mapping[str, float], speed: float
    ) -> None:
        curves = {f"train/{name}": value for name, value in train.items()}
        curves |= {f"validation/{name}": value for name, value in validation.items()}
        curves["train/records_per_second"] = speed
        self.fabric.log_dict(curves, step=self.epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what a later process needs to go on from this boundary."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "running": self.running.state_dict(),
            "history": self.history.state_dict(),
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "weights": self.weights.state_dict(),
            "kept": self.kept.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a boundary that `state_dict` described."""
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self.saved_at = (self.epoch, self.batch)
        self.running.load_state_dict(state["running"])
        self.history.load_state_dict(state["history"])
        if self._validation_batches_of is None:
            self.history.validation = {}
        self.module.load_state_dict(state["module"])
        go_on(self.optimizer, self.scheduler, state)
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.weights.load_state_dict(state["weights"])
        self.kept.load_state_dict(state["kept"], last_epoch=self.epoch - 1)
