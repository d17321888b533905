"""Train a module as a job asks: laid out by the plan, gone on with from a checkpoint, stopped in time."""

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.pytorch import LightningModule

from sm_dl.artifact.weights import not_finite
from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.engine.checkpoint import Checkpoints
from sm_dl.engine.losses import LOSS, DivergedError
from sm_dl.engine.narration import Narrator
from sm_dl.engine.precision import precision_of
from sm_dl.engine.progress import Progress
from sm_dl.engine.ranks import timeout_s
from sm_dl.engine.rendezvous import met
from sm_dl.engine.run import BatchesOf, Run, TrainingStopped
from sm_dl.engine.state_file import state_from_bytes
from sm_dl.engine.stopping import KeepLast, Selection
from sm_dl.engine.strategy import Plan
from sm_dl.errors import AlgorithmError, JobError, StoppedError
from sm_dl.job import stop
from sm_dl.job.job import Job

logger = logging.getLogger(__name__)

IN_A_HURRY = 2
"""So many SIGTERMs: the model is written, the checkpoint no more."""


@dataclass(frozen=True)
class FitResult:
    """What training came to; the module holds the weights that are to be kept."""

    train: Mapping[str, Sequence[float]]
    """By name the mean of each figure in each finished epoch, those before an interruption included."""
    validation: Mapping[str, Sequence[float]]
    """The same of the validation channel; empty without one."""
    kept_epoch: int
    """The one whose weights were left; -1 before the first."""
    is_main: bool
    """Whether this process writes the artifact (rank 0)."""
    has_weights: bool
    """Whether there is something to keep: training is over, or made an update before it ended, and
    all weights that it leaves are finite."""
    interruption: JobError | None = None
    """Why training ended before its time; to be raised once the model is written."""

    @property
    def losses(self) -> Sequence[float]:
        """Return the training loss of each finished epoch."""
        return self.train[LOSS]

    @property
    def final_loss(self) -> float:
        """Return the loss of the kept epoch."""
        return self.losses[self.kept_epoch]


def fit(  # noqa: PLR0913 - the parts of a run
    module: LightningModule,
    batches_of: BatchesOf,
    *,
    job: Job[Hyperparameters],
    plan: Plan,
    num_epochs: int,
    narrator: Narrator,
    selection: Selection | None = None,
    average_decay: float | None = None,
    average_every: int = 1,
    validation_batches_of: BatchesOf | None = None,
    identity: Mapping[str, object],
) -> FitResult:
    """Train until `num_epochs` are done, continuing from the newest checkpoint if there is one.

    Call it inside `stop.deferred()`, up to the last file of the model: SIGTERM and a loss that is
    no number end training early, and come back as `FitResult.interruption`. So do weights that are
    no numbers at the end: a loss is seen one update after the one that broke them.

    Args:
        module: Has `training_step` and, for validation, `validation_step`, which return a
            `StepLoss`; `configure_optimizers`; perhaps `on_fit_start`, which is called when the
            processes have met and before a checkpoint is read, and `on_fit_end`, called in all of them
            with the weights that are left, if there are some; `gradient_norm`, the longest gradient,
            `objective = "sum"` for the gradient of the sum over all ranks instead of the mean,
            `needs_observations = True` where an epoch in which nothing counted is an error, and
            `validation_figures()`, which returns metrics that are no sums after the validation loop.
        batches_of: Makes one rank's batches of one epoch, from a record on; every rank has the
            same number of them.
        job: Gives the folders and the seed.
        plan: Devices, processes, precision.
        num_epochs: Epochs in all, those before an interruption included.
        narrator: Prints the algorithm's lines, in the main process.
        selection: Which epoch's weights are left, and when to stop; by itself all are trained and
            the last one's left.
        average_decay: The share of the past in a moving average of the weights, which is then what
            is validated and left; None leaves the weights themselves.
        average_every: How many updates go into the average as one.
        validation_batches_of: Batches whose figures a selection watches instead of training's.
        identity: What two jobs must share for one to continue the other's checkpoint.
    Raises:
        UserError: The checkpoint folder holds another model's checkpoints, or damaged ones alone; or
            no record of a channel could be used.
        StoppedError: SIGTERM came before all processes of the job were there.
        LostProcessError: Another process of the job died, is stuck or did not come.
    """
    if plan.notice:
        logger.warning("%s", plan.notice)
    logger.info("Training on %s", plan)
    with met(plan.num_processes):
        fabric = _fabric(plan, job)
    run = Run(
        module,
        batches_of,
        fabric=fabric,
        seed=job.hyperparameters.seed,
        narrator=narrator,
        selection=selection or KeepLast(),
        average_decay=average_decay,
        average_every=average_every,
        validation_batches_of=validation_batches_of,
    )
    checkpoints = Checkpoints(
        job.paths.checkpoints, identity, job.hyperparameters.model_dump(mode="json")
    )
    started = time.perf_counter()
    interruption: JobError | None = None
    with Progress(num_epochs, is_shown=run.ranks.is_main) as progress, run.ranks.watched():
        newest = run.ranks.broadcast(checkpoints.newest() if run.ranks.is_main else None)
        if newest is not None:
            run.load_state_dict(state_from_bytes(newest))
        try:
            run.train(num_epochs, checkpoints, progress)
        except TrainingStopped:
            if stop.num_requests() < IN_A_HURRY:
                run.save(checkpoints)
            interruption = StoppedError(
                f"SIGTERM came in epoch {run.epoch}, after {run.step} updates. "
                "The same command again goes on from there."
            )
        except AlgorithmError as error:
            interruption = error
        run.kept.restore()
        lost = not_finite(module.state_dict())
        has_weights = lost is None and (interruption is None or run.step > 0)
        if has_weights:
            module.on_fit_end()
    fabric.logger.finalize("success")
    logger.info(
        "%d checkpoints took %.2f s, %.2f %% of the training time",
        checkpoints.num_saved, checkpoints.total_s,
        100 * checkpoints.total_s / (time.perf_counter() - started),
    )  # fmt: skip
    if isinstance(interruption, DivergedError) or lost is not None:
        interruption = _explained(interruption, run, lost, has_weights=has_weights)
    return FitResult(
        run.history.train,
        run.history.validation,
        run.kept.epoch,
        is_main=run.ranks.is_main,
        has_weights=has_weights,
        interruption=interruption,
    )


def _explained(
    error: JobError | None, run: Run, lost: str | None, *, has_weights: bool
) -> AlgorithmError:
    """Return the end of a run that diverged, with what becomes of its model."""
    what = str(error or f"epoch {run.epoch - 1}: training has diverged").rstrip(".")
    if has_weights:
        kept = "the weights before this batch are kept"
        if run.kept.has_picked:
            kept = f"the weights of epoch {run.kept.epoch}, the best so far, are kept"
    elif lost is not None:
        kept = (
            f"no model is written, since an update has left {lost} with a value that is not finite"
        )
    else:
        kept = "no model is written, since there was no update before"
    return AlgorithmError(
        f"{what}; {kept}. Lower learning_rate, and check the data for extreme values."
    )


def _fabric(plan: Plan, job: Job[Hyperparameters]) -> Fabric:
    """Return the processes and devices of a plan, ready to be used."""
    for name in ("fabric", "fabric.utilities.rank_zero", "pytorch.utilities.rank_zero"):
        logging.getLogger(f"lightning.{name}").setLevel(logging.WARNING)  # its banners are not ours
    strategy: Any = plan.strategy
    if plan.strategy == "ddp":
        strategy = DDPStrategy(timeout=timedelta(seconds=timeout_s()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice on what the plan decides
        fabric = Fabric(
            accelerator=plan.accelerator,
            devices=plan.devices,
            num_nodes=plan.num_nodes,
            strategy=strategy,
            plugins=precision_of(plan),
            loggers=TensorBoardLogger(job.paths.tensorboard, name="", version=""),
        )
        fabric.launch()
    return fabric
