"""One Trainer for every algorithm: laid out by the plan, resumed, checkpointed, shown."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine.callbacks import AddressedRandomness, EpochLoss
from sm_dl.engine.checkpoint import AtomicCheckpointIO, Checkpoints
from sm_dl.engine.loader import EpochLoader, Place, place_of
from sm_dl.engine.progress import Progress
from sm_dl.engine.stop import StopOnSigterm, TrainingStopped
from sm_dl.engine.strategy import Plan
from sm_dl.engine.weights import AveragedWeights, BestEpoch, ValidationLoss
from sm_dl.job.job import Job

logger = logging.getLogger(__name__)

AVERAGE_DECAY = 0.99
"""Weights are averaged over about the last hundred updates: ten epochs of a small data set."""


@dataclass(frozen=True)
class FitResult:
    """What training came to; the module holds the weights of the kept epoch."""

    losses: Sequence[float]
    """Mean loss of each epoch, those before an interruption included."""
    kept_epoch: int
    """The last one, or with patience the one of the lowest loss."""
    is_main: bool
    """Whether this process writes the artifact (rank 0)."""
    validation_losses: Sequence[float] = ()
    """Mean validation loss of each epoch; empty without a validation channel."""
    was_stopped: bool = False
    """Whether SIGTERM ended it before its time."""

    @property
    def has_weights(self) -> bool:
        """Return whether a single epoch was finished."""
        return self.kept_epoch >= 0

    @property
    def final_loss(self) -> float:
        """Return the loss of the kept epoch."""
        return self.losses[self.kept_epoch]


def fit(  # noqa: PLR0913 - the parts of a run
    module: LightningModule,
    batches_of: Callable[[Place], Iterator[Any]],
    *,
    job: Job[Hyperparameters],
    plan: Plan,
    log: MetricLog,
    num_epochs: int,
    patience: int | None = None,
    validation_batches_of: Callable[[Place], Iterator[Any]] | None = None,
    identity: Mapping[str, object],
) -> FitResult:
    """Train until `num_epochs` are done, continuing from the newest checkpoint if there is one.

    Args:
        module: The network with its loss and optimizer; see `EpochLoss` for what a step returns.
        batches_of: Makes one rank's batches of one epoch.
        job: Gives the folders and the seed.
        plan: Devices, processes, precision.
        log: Prints the service's metric lines.
        num_epochs: Epochs in all, those before an interruption included.
        patience: Stop after so many epochs without a lower loss; None trains them all.
        validation_batches_of: Batches whose loss early stopping watches instead of training's.
        identity: What two jobs must share for one to continue the other's checkpoint.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its banners are not ours
    if plan.notice:
        logger.warning("%s", plan.notice)
    logger.info("Training on %s", plan)
    stop = StopOnSigterm()
    losses = EpochLoss(log, num_epochs)
    weights = AveragedWeights(AVERAGE_DECAY)
    validation = (
        ValidationLoss(validation_batches_of, weights, log) if validation_batches_of else None
    )
    best = BestEpoch(validation or losses, weights, patience)
    checkpoints = Checkpoints(job.paths.checkpoints, identity)
    randomness = AddressedRandomness(job.hyperparameters.seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice about loaders we do not use
        trainer = Trainer(
            accelerator=plan.accelerator,
            devices=plan.devices,
            num_nodes=plan.num_nodes,
            strategy=plan.strategy,
            precision=plan.precision,
            max_epochs=num_epochs,
            # in the order in which they act when an epoch ends: checkpoints save what the rest did
            callbacks=[
                *(stop, randomness, losses, weights),
                *([validation] if validation else []),
                *(best, Progress(losses), checkpoints),
            ],
            plugins=[AtomicCheckpointIO()],
            logger=TensorBoardLogger(job.paths.tensorboard, name="", version=""),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        loader = EpochLoader(batches_of, lambda: place_of(trainer))
        newest = checkpoints.newest()
        if newest is not None:
            logger.info("Continuing from checkpoint %s", newest)
        with suppress(TrainingStopped):
            trainer.fit(module, train_dataloaders=loader, ckpt_path=newest)
    if best.best:
        best.restore(module)
    return FitResult(
        losses.losses,
        best.epoch,
        is_main=trainer.is_global_zero,
        validation_losses=validation.losses if validation else (),
        was_stopped=stop.is_requested,
    )
